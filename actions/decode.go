package actions

import (
	"encoding/json"
	"strconv"
	"strings"

	"chaos/model"
)

// What can be wrong with the body of a success, in words that do not differ from run to run.
const (
	notJSON     = "body is not the JSON it should be"
	noBoxID     = "no box_id"
	noBoxes     = "no list of boxes"
	noExecution = "no execution_id"
	noStatus    = "no status"
)

// wireBox is a box on the wire.
type wireBox struct {
	ID        string `json:"box_id"`
	Name      string `json:"name"`
	Status    string `json:"status"`
	CPUs      loose  `json:"cpus"`
	MemoryMiB loose  `json:"memory_mib"`
	Created   loose  `json:"created_at"`
	Updated   loose  `json:"updated_at"`
}

// loose is a value of any type as text: a field of another type than expected must not hide the rest.
type loose string

// UnmarshalJSON implements json.Unmarshaler.
func (l *loose) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) != nil {
		text = string(data)
	}
	*l = loose(text)
	return nil
}

// number is the value as a whole number, 0 if it is none.
func (l loose) number() int {
	f, _ := strconv.ParseFloat(string(l), 64)
	if n := int(f); float64(n) == f {
		return n
	}
	return 0
}

func (b wireBox) view() model.BoxView {
	return model.BoxView{ID: b.ID, Name: b.Name, Status: b.Status, CPUs: b.CPUs.number(), MemoryMiB: b.MemoryMiB.number(),
		Created: string(b.Created), Updated: string(b.Updated)}
}

// decode reads what the answer says into the call, or why it cannot be read.
func (e *Env) decode(c *model.Call, body []byte) {
	switch c.Op {
	case model.OpCreate, model.OpGet, model.OpStart, model.OpStop:
		c.Garbled = decodeBox(c, body)
	case model.OpList:
		c.Garbled = e.decodeList(c, body)
	case model.OpProbe:
		if c.Route == "list" {
			_ = e.decodeList(c, body) // that there is no list is no news of a probe
		}
	case model.OpExec:
		c.Garbled = decodeExec(c, body)
	case model.OpInfo:
		c.Garbled = decodeInfo(c, body)
	case model.OpMetrics:
		c.Garbled = decodeMetrics(c, body)
	}
}

func decodeBox(c *model.Call, body []byte) string {
	var b *wireBox
	switch err := json.Unmarshal(body, &b); {
	case err != nil || b == nil:
		return notJSON
	case b.ID == "":
		return noBoxID
	}
	c.Boxes = []model.BoxView{b.view()}
	return ""
}

func (e *Env) decodeList(c *model.Call, body []byte) string {
	var l struct {
		Boxes *[]wireBox `json:"boxes"`
	}
	switch err := json.Unmarshal(body, &l); {
	case err != nil:
		return notJSON
	case l.Boxes == nil:
		return noBoxes
	}
	for _, b := range *l.Boxes {
		if strings.HasPrefix(b.Name, e.Refs.token+"-") || e.Refs.knows(b.ID) {
			c.Boxes = append(c.Boxes, b.view())
		} else {
			c.Others++
		}
	}
	return ""
}

func decodeExec(c *model.Call, body []byte) string {
	var x *struct {
		ID string `json:"execution_id"`
	}
	switch err := json.Unmarshal(body, &x); {
	case err != nil || x == nil:
		return notJSON
	case x.ID == "":
		return noExecution
	}
	c.ExecID = x.ID
	return ""
}

func decodeInfo(c *model.Call, body []byte) string {
	var x *struct {
		ID     string `json:"execution_id"`
		Status string `json:"status"`
		Exit   *int   `json:"exit_code"`
	}
	if err := json.Unmarshal(body, &x); err != nil || x == nil {
		return notJSON
	}
	c.View = &model.ExecView{ID: x.ID, Status: x.Status, Exit: x.Exit}
	switch {
	case x.ID == "":
		return noExecution
	case x.Status == "":
		return noStatus
	}
	return ""
}

// decodeMetrics keeps the whole numbers; shares and what is nested are not counters.
func decodeMetrics(c *model.Call, body []byte) string {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(body, &m); err != nil || m == nil {
		return notJSON
	}
	c.Counters = map[string]int64{}
	for k, raw := range m {
		var n *int64
		if json.Unmarshal(raw, &n) == nil && n != nil {
			c.Counters[k] = *n
		}
	}
	return ""
}
