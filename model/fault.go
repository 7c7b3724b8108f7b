package model

import (
	"slices"
	"strings"
	"time"
)

// Fault is a part of the stack being broken on purpose, and mended again.
type Fault struct {
	Step   int    `json:"step"` // index of the step that did it
	Name   string `json:"name"`
	From   int64  `json:"from"` // nanoseconds since the run began
	To     int64  `json:"to"`   // when it was mended
	Excuse Excuse `json:"excuse"`
}

// Excuse is what a fault excuses. All that is not said here is judged as ever.
type Excuse struct {
	// Answers: calls that were under way need not be answered, or are answered with 502, 503 or 504.
	// Whether they took effect is not known then.
	Answers bool `json:"answers,omitempty"`
	// Sessions: attach sessions that were open may break off.
	Sessions bool `json:"sessions,omitempty"`
	// Execs: executions of before are forgotten, and what they still did is not known.
	Execs bool `json:"execs,omitempty"`
	// Counters: those of boxes begin anew.
	Counters bool `json:"counters,omitempty"`
	// Log: what the runner did for calls that were under way may lack its line in the log, or be done
	// and logged once more.
	Log bool `json:"log,omitempty"`
	// Down: nobody can be asked anything meanwhile, so clients begin nothing new until it is mended.
	Down bool `json:"down,omitempty"`
	// Reach is how long after it was mended the fault still excuses answers and sessions: connections of
	// before are found to be dead only when they are used.
	Reach time.Duration `json:"reach,omitempty"`
}

// String lists what is excused, "nothing" if that is all.
func (e Excuse) String() string {
	var out []string
	for _, x := range []struct {
		is   bool
		text string
	}{
		{e.Answers, "calls under way need not be answered, or are with 502, 503 or 504"},
		{e.Sessions, "open sessions break off"}, {e.Execs, "executions are forgotten"}, {e.Counters, "counters of boxes begin anew"},
		{e.Log, "a line of the log about a call under way may be missing or there twice"},
	} {
		if x.is {
			out = append(out, x.text)
		}
	}
	if len(out) == 0 {
		return "nothing"
	}
	if e.Reach > 0 {
		out = append(out, "all that until "+e.Reach.String()+" after it is mended")
	}
	return strings.Join(out, "; ")
}

// unreachable are the answers with which a part says that another one is not there.
var unreachable = []int{502, 503, 504}

// meets reports whether something that lasted from one moment to another was under way while the
// fault reached.
func (f *Fault) meets(from, to int64) bool { return from <= f.To+int64(f.Excuse.Reach) && to >= f.From }

// Excused returns the history as its promises are to be judged: what a fault excuses in the answer to
// a call is not known, nor what became of a session whose connection was cut as it began. Without
// faults and cuts it is the history itself.
func (h *History) Excused() *History {
	if len(h.Meta.Faults)+len(h.Meta.Messages) == 0 {
		return h
	}
	out := *h
	out.Calls = slices.Clone(h.Calls)
	for i := range out.Calls {
		c := &out.Calls[i]
		for k := range h.Meta.Faults {
			if f := &h.Meta.Faults[k]; f.meets(c.Invoke, c.Return) {
				c.excuse(f)
			}
		}
		for k := range h.Meta.Messages {
			if m := &h.Meta.Messages[k]; m.cuts(c) {
				c.lost(m.What)
			}
		}
	}
	return &out
}

func (c *Call) excuse(f *Fault) {
	if f.Excuse.Answers && (c.Outcome == Unknown || slices.Contains(unreachable, c.Status)) {
		c.Outcome, c.Status, c.Body, c.Excused = Unknown, 0, "", f.Name
	}
	if f.Excuse.Sessions && c.Attach != nil {
		c.lost(f.Name)
	}
}

// lost notes that what took the connection of an attach, and not the stack, may have ended it.
func (c *Call) lost(to string) {
	switch {
	case c.Attach == nil && c.Outcome == Unknown:
		c.Excused = to
	case c.Attach != nil && c.Attach.Close != CloseNormal:
		cut := *c.Attach
		cut.Cut, cut.TimedOut = true, false
		c.Attach = &cut
	}
}

// LogExcused reports whether a fault excuses what the log lacks about a call.
func (h *History) LogExcused(c *Call) bool {
	return slices.ContainsFunc(h.Meta.Faults, func(f Fault) bool { return f.Excuse.Log && f.meets(c.Invoke, c.Return) })
}

// CloseNormal is the WebSocket close code of a session that ended well.
const CloseNormal = 1000

// Forgets returns the fault that made the runner forget an execution that was started by a call, as far
// as it can be seen at a moment, or nil.
func (h *History) Forgets(start *Call, at int64) *Fault {
	for k := range h.Meta.Faults {
		if f := &h.Meta.Faults[k]; f.Excuse.Execs && start.Invoke <= f.To && at >= f.From {
			return f
		}
	}
	return nil
}
