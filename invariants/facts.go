package invariants

import (
	"fmt"
	"strings"
	"time"

	"chaos/model"
)

// Facts is a history with what several invariants need computed once.
type Facts struct {
	*model.History
	Contract model.Contract
	*model.Index
	life      model.Lifecycle
	decided   model.Decisions
	timelines map[model.Ref]*model.Timeline
	linear    map[model.Ref]linear
	execs     []*Exec
	streamed  []streamCheck // what streams found, once it has looked
	looked    bool
}

// Exec is everything a history holds about one execution that was started.
type Exec struct {
	Start    *model.Call
	Attaches []*model.Call // sessions and refused attaches
	Infos    []*model.Call
	Signals  []*model.Call // that were not refused
	Kills    []*model.Call // that were not refused
	Resizes  []*model.Call // that were not refused
	told     model.Told    // what it told about its box in the first session that shows it
	seenTold map[string]int64
	Ended    int64       // first moment at which an answer showed that it was over; never if none did
	EndedBy  *model.Call // that answer
}

func newFacts(h *model.History, contract model.Contract) *Facts {
	f := &Facts{History: h, Contract: contract, Index: model.NewIndex(h), life: contract.Lifecycle(), decided: model.Decide(h), timelines: map[model.Ref]*model.Timeline{}, linear: map[model.Ref]linear{}}
	byRef := map[model.Ref]*Exec{}
	for _, c := range h.Execs() {
		x := &Exec{Start: c, Ended: never}
		byRef[c.Exec] = x
		f.execs = append(f.execs, x)
	}
	for i := range h.Calls {
		c := &h.Calls[i]
		x := byRef[c.Exec]
		if x == nil {
			continue
		}
		switch {
		case c.Op == model.OpAttach:
			x.Attaches = append(x.Attaches, c)
			if c.Attach != nil {
				if exit, ok := c.Attach.Exit(); ok {
					x.sawEnd(exit.At, c)
				}
			}
		case c.Op == model.OpInfo:
			x.Infos = append(x.Infos, c)
			if c.View.Terminal() {
				x.sawEnd(c.Return, c)
			}
		case c.Outcome == model.Rejected && !c.Undecided():
		case c.Op == model.OpSignal:
			x.Signals = append(x.Signals, c)
		case c.Op == model.OpKill:
			x.Kills = append(x.Kills, c)
		case c.Op == model.OpResize:
			x.Resizes = append(x.Resizes, c)
		}
	}
	for _, x := range f.execs {
		x.told = x.toldOf()
	}
	return f
}

// Timeline returns what the box ref could have been in over time.
func (f *Facts) Timeline(ref model.Ref) *model.Timeline {
	t, ok := f.timelines[ref]
	if !ok {
		t = f.Index.Timeline(ref, f.life, f.decided)
		f.timelines[ref] = t
	}
	return t
}

// During returns the states the call's box could have been in while the call ran. A ref that no
// create was ever sent for stands for a box that never existed.
func (f *Facts) During(c *model.Call) model.State {
	switch {
	case c.Box == "" && c.Exec != "":
		return model.Absent // an exec that never started is on no box
	case c.Box == "":
		return model.AnyState
	}
	return f.Timeline(c.Box).During(c)
}

// BoxRefs returns the refs of all boxes that a create was sent for, in that order.
func (f *Facts) BoxRefs() []model.Ref {
	var out []model.Ref
	for i := range f.Calls {
		if c := &f.Calls[i]; c.Op == model.OpCreate {
			out = append(out, c.Box)
		}
	}
	return out
}

// Undisturbed reports whether nothing could have ended or damaged the exec from outside before the
// call (one of its attaches or infos) returned: its box was running all the time, nobody signalled
// or killed it, and its time limit cannot have been reached.
func (f *Facts) Undisturbed(x *Exec, until *model.Call) bool {
	return !f.disturbed(x, until.Return).any()
}

// calm is the states in which an exec finds its box, or to which its box comes, without anybody else
// doing anything. A box that was stopped under the exec has been stopping as well.
func (f *Facts) calm() model.State {
	s := model.Running
	if f.life.Lazy {
		s |= model.Fresh | model.Starting
	}
	if f.life.Autostart {
		s |= model.Stopped | model.Starting
	}
	return s
}

// Deadline is when the exec must have ended, counted from its start. One that reads its input must
// end only once it has been told that the input is over.
func (f *Facts) Deadline(x *Exec) int64 {
	p := x.Start.Payload
	if p.Stdin == 0 {
		return x.Start.Return + int64(p.Within(f.Meta.Limits.Grace)+f.Meta.Limits.Resolve)
	}
	end := max(x.Start.Return+int64(p.Duration()), x.inputEnd())
	if p.Timeout > 0 {
		end = min(end, x.Start.Return+int64(p.Timeout+f.Meta.Limits.Grace))
	}
	if end > never-int64(f.Meta.Limits.Resolve) {
		return never
	}
	return end + int64(f.Meta.Limits.Resolve)
}

// inputEnd is when the exec was told for sure that its input is over.
func (x *Exec) inputEnd() int64 {
	end := never
	for _, s := range x.Attaches {
		if s.Attach.EndedInput() {
			end = min(end, s.Attach.EOF)
		}
	}
	return end
}

// at is a moment of the history for messages.
func at(ns int64) string { return fmt.Sprintf("%.1f ms", float64(ns)/float64(time.Millisecond)) }

// label is how messages name a call.
func label(c *model.Call) string {
	on := string(c.Exec)
	if on == "" {
		on = string(c.Box)
	}
	return fmt.Sprintf("%s (call %d, at %s)", strings.Join(strings.Fields(c.Op+" "+c.Route+" "+on), " "), c.ID, at(c.Invoke))
}
