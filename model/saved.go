package model

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// historyLine is one record of a saved history: meta, then the calls, the journal and the residue,
// which also marks the end.
type historyLine struct {
	Meta *Meta `json:"meta,omitempty"`
	// Calls and Plan stand with the meta: how many calls follow, and the Sum of the plan that was
	// performed. Histories of older programs have neither, and are read without.
	Calls   *int       `json:"calls,omitempty"`
	Plan    string     `json:"plan,omitempty"`
	Call    *Call      `json:"call,omitempty"`
	Journal *Journal   `json:"journal,omitempty"`
	Residue *[]Residue `json:"residue,omitempty"`
}

// MarshalLines returns the history as JSON, one record a line.
func (h *History) MarshalLines() ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	n := len(h.Calls)
	lines := []historyLine{{Meta: &h.Meta, Calls: &n, Plan: h.Plan.Sum()}}
	for i := range h.Calls {
		lines = append(lines, historyLine{Call: &h.Calls[i]})
	}
	residue := h.Residue
	if residue == nil {
		residue = []Residue{}
	}
	for _, l := range append(lines, historyLine{Journal: &h.Journal}, historyLine{Residue: &residue}) {
		if err := enc.Encode(l); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

// ReadHistory reads what MarshalLines wrote about plan, which is stored beside it, not in it. What no
// run can have recorded is an error that names the record, which is the line: a judge would take it
// for what the stack did.
func ReadHistory(data []byte, plan Plan) (*History, error) {
	h, first, err := parseLines(data)
	if err != nil {
		return nil, err
	}
	h.Plan = plan
	if first.Plan != "" && first.Plan != plan.Sum() {
		return nil, errors.New("record 1: the plan beside it is not the one that was performed")
	}
	for i := range h.Calls {
		if what := h.impossible(i); what != "" {
			return nil, fmt.Errorf("record %d: call %d: %s", i+2, h.Calls[i].ID, what)
		}
	}
	if n := len(h.Calls); first.Calls != nil && *first.Calls != n {
		return nil, fmt.Errorf("record %d: it comes after %d calls, but %d were recorded", n+2, n, *first.Calls)
	}
	return h, nil
}

// ParseHistory is ReadHistory without a plan: only the form is checked.
func ParseHistory(data []byte) (*History, error) {
	h, _, err := parseLines(data)
	return h, err
}

// parseLines also returns the first record.
func parseLines(data []byte) (*History, historyLine, error) {
	h, first, part := &History{}, historyLine{}, metaPart
	for n, dec := 1, json.NewDecoder(bytes.NewReader(data)); ; n++ {
		var l historyLine
		if err := dec.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, first, fmt.Errorf("record %d: %w", n, err)
		}
		next, err := part.then(&l)
		if err != nil {
			return nil, first, fmt.Errorf("record %d: %w", n, err)
		}
		switch part = next; {
		case l.Meta != nil:
			h.Meta, first = *l.Meta, l
		case l.Call != nil:
			h.Calls = append(h.Calls, *l.Call)
		case l.Journal != nil:
			h.Journal = *l.Journal
		case len(*l.Residue) > 0:
			h.Residue = *l.Residue
		}
	}
	if part != endPart {
		return nil, first, errors.New("the last record is missing: the file was cut off")
	}
	return h, first, nil
}

// part is what may stand next in a saved history.
type part int

const (
	metaPart part = iota
	callPart      // or the journal
	residuePart
	endPart
)

// then returns what may stand after l, which must be one record that may stand here.
func (p part) then(l *historyLine) (part, error) {
	kinds := 0
	for _, is := range []bool{l.Meta != nil, l.Call != nil, l.Journal != nil, l.Residue != nil} {
		if is {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return p, errors.New("it is not one record of a history: meta, call, journal or residue")
	case p == metaPart && l.Meta == nil:
		return p, errors.New("no meta record: this is not a history, or its beginning is missing")
	case p == metaPart, p == callPart && l.Call != nil:
		return callPart, nil
	case p == callPart && l.Journal != nil:
		return residuePart, nil
	case p == residuePart && l.Residue != nil:
		return endPart, nil
	}
	return p, errors.New("it stands in a wrong place: meta comes first, then the calls, the journal and the residue")
}

// ops are all operations.
var ops = []string{OpCreate, OpGet, OpList, OpStart, OpStop, OpRemove, OpExec, OpAttach, OpInfo, OpSignal, OpKill, OpResize, OpMetrics, OpProbe}

// impossible says what about call number i no run can have recorded, "" if nothing. The recorder
// numbers the calls from 0, in order of invocation, by one clock that starts at 0.
func (h *History) impossible(i int) string {
	c := &h.Calls[i]
	switch {
	case c.ID < i:
		return "it stands there twice, or in a wrong place"
	case c.ID > i:
		return fmt.Sprintf("call %d is missing before it", i)
	case !slices.Contains(ops, c.Op):
		return fmt.Sprintf("no operation is called %q", c.Op)
	case c.Outcome != OK && c.Outcome != Rejected && c.Outcome != Unknown:
		return fmt.Sprintf("no outcome is called %q", c.Outcome)
	case c.Invoke < 0:
		return "it was sent before the run began"
	case c.Return < c.Invoke:
		return "it was answered before it was sent"
	case i > 0 && c.Invoke < h.Calls[i-1].Invoke:
		return fmt.Sprintf("it was sent before call %d", i-1)
	}
	if what := c.Attach.impossible(c.Invoke, c.Return); what != "" {
		return what
	}
	return h.Plan.impossible(c)
}

// impossible says which time of the session is not within that of its call.
func (a *Attach) impossible(from, to int64) string {
	if a == nil {
		return ""
	}
	if a.Opened != 0 && (a.Opened < from || a.Opened > to) || a.EOF != 0 && (a.EOF < from || a.EOF > to) {
		return "its session was opened or ended outside of the call"
	}
	for i, f := range a.Frames {
		if f.At < from || f.At > to {
			return fmt.Sprintf("frame %d came outside of the call", i+1)
		}
		from = f.At
	}
	return ""
}

// impossible says why no step of the plan makes call c.
func (p Plan) impossible(c *Call) string {
	if c.Step == Harness && c.Client == "" {
		return ""
	}
	if c.Step < 0 || c.Step >= len(p.Steps) {
		return fmt.Sprintf("the plan has no step %d", c.Step)
	}
	if s := p.Steps[c.Step]; s.Client != c.Client {
		return fmt.Sprintf("step %d of the plan is of client %q, not %q", c.Step, s.Client, c.Client)
	}
	for _, r := range []Ref{c.Box, c.Exec} {
		if r != "" && !slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Bind == r || s.On == r }) {
			return fmt.Sprintf("the plan has no %s", r)
		}
	}
	return ""
}

// Sum is the same for equal plans, and different for others.
func (p Plan) Sum() string {
	h := sha256.New()
	for _, s := range p.Normalize().Steps {
		fmt.Fprintf(h, "%q %q %q %q %q %q %d %d\n", s.Client, s.Bind, s.Action, s.On, s.Args, s.After, s.Gap, s.Group)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
