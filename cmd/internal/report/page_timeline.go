package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"chaos/model"
)

// Timeline is the part of a history that a finding is about. Times are nanoseconds since the run of
// the plan began.
type Timeline struct {
	From    int64  `json:"from"`
	To      int64  `json:"to"`
	Bars    []Bar  `json:"bars"`
	Log     []Mark `json:"log,omitempty"`      // lines of the journal
	Sent    []Mark `json:"messages,omitempty"` // what the scheduler did to messages
	Faults  []Bar  `json:"faults,omitempty"`
	Skipped int    `json:"skipped,omitempty"` // calls of the window that are not drawn
}

// Bar is something that lasted.
type Bar struct {
	Lane  string  `json:"lane,omitempty"` // the client
	From  int64   `json:"from"`
	To    int64   `json:"to"`
	Label string  `json:"label"`
	Title string  `json:"title"`           // the whole line
	Kind  string  `json:"kind,omitempty"`  // an outcome
	Mark  bool    `json:"mark,omitempty"`  // it shows the violation
	Ticks []int64 `json:"ticks,omitempty"` // frames of an attach session
}

// Mark is something that happened at a moment.
type Mark struct {
	At    int64  `json:"at"`
	Label string `json:"label"`
	Title string `json:"title"`
}

// Most that one timeline draws; more could not be read.
const (
	mostBars  = 150
	mostMarks = 60
	mostTicks = 200
)

// NewTimeline returns what happened to the boxes of v while it came to show.
func NewTimeline(h *model.History, v model.Violation) *Timeline {
	marked, boxes, ids := map[int]bool{}, map[model.Ref]bool{}, map[string]bool{}
	for _, id := range v.Calls {
		marked[id] = true
	}
	for i := range h.Calls {
		if c := &h.Calls[i]; marked[c.ID] && c.Box != "" {
			boxes[c.Box] = true
		}
	}
	t := &Timeline{From: math.MaxInt64}
	var calls []*model.Call
	last := int64(0)
	for i := range h.Calls {
		c := &h.Calls[i]
		if !marked[c.ID] && len(boxes) > 0 && !boxes[c.Box] {
			continue
		}
		if c.BoxID != "" {
			ids[c.BoxID] = true
		}
		calls = append(calls, c)
		t.From = min(t.From, c.Invoke)
		if marked[c.ID] || len(marked) == 0 {
			last = max(last, c.Return)
		}
	}
	if len(calls) == 0 {
		return nil
	}
	// A little of what came after, but not all of the cleaning up.
	t.To = last + max((last-t.From)/10, int64(2e6))
	calls = slices.DeleteFunc(calls, func(c *model.Call) bool { return c.Invoke > t.To })
	if n := len(calls) - mostBars; n > 0 {
		t.Skipped = n
		// The ones that show it, and those nearest before the end of the window.
		slices.SortStableFunc(calls, func(a, b *model.Call) int {
			return cmp.Or(one(marked[b.ID])-one(marked[a.ID]), cmp.Compare(b.Return, a.Return))
		})
		calls = calls[:mostBars]
		slices.SortFunc(calls, func(a, b *model.Call) int { return a.ID - b.ID })
	}
	for _, c := range calls {
		t.Bars = append(t.Bars, bar(c, marked[c.ID]))
	}
	t.around(h, ids, len(boxes) == 0)
	return t
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

func bar(c *model.Call, marked bool) Bar {
	on := string(c.Exec)
	if on == "" {
		on = string(c.Box)
	}
	answer := fmt.Sprint(c.Status)
	if c.Status == 0 {
		answer = "no answer"
	}
	b := Bar{Lane: cmp.Or(c.Client, "chaos"), From: c.Invoke, To: c.Return, Label: fmt.Sprintf("%s %s %s", c.Op, on, answer), Title: CallLine(c), Kind: string(c.Outcome), Mark: marked}
	if c.Attach != nil {
		for i, f := range c.Attach.Frames {
			if i == mostTicks {
				break
			}
			b.Ticks = append(b.Ticks, f.At)
		}
		if f, ok := c.Attach.Exit(); ok {
			b.Label = fmt.Sprintf("attach %s exit %d", on, f.Exit)
		}
	}
	return b
}

// around adds what happened meanwhile: the journal's lines about the boxes with these ids, or all of
// them, faults, and what the scheduler did.
func (t *Timeline) around(h *model.History, ids map[string]bool, all bool) {
	within := func(at int64) bool { return at >= t.From && at <= t.To }
	for _, e := range h.Journal.Entries {
		s, _, ok := model.Sight(e.Message)
		if within(e.At) && len(t.Log) < mostMarks && (all || ok && ids[s.BoxID]) {
			l := model.ParseLogLine(e.Message)
			label := OneLine(l.Text)
			if job := l.Fields["job_type"]; job != "" {
				label += " " + job
			}
			t.Log = append(t.Log, Mark{e.At, short(label, 34), OneLine(e.Message)})
		}
	}
	for _, m := range h.Meta.Messages {
		if within(m.At) && len(t.Sent) < mostMarks {
			title := fmt.Sprintf("%s, step %d", m.What, m.Step+1)
			if m.For > 0 {
				title += fmt.Sprintf(", held for %.1f ms", float64(m.For)/1e6)
			}
			t.Sent = append(t.Sent, Mark{m.At, m.What, title})
		}
	}
	for _, f := range h.Meta.Faults {
		if f.From <= t.To && f.To >= t.From {
			t.Faults = append(t.Faults, Bar{From: f.From, To: f.To, Label: f.Name, Title: fmt.Sprintf("fault %s, step %d", f.Name, f.Step+1)})
		}
	}
}

func short(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
