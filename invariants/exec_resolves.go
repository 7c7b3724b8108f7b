package invariants

import (
	"fmt"

	"chaos/model"
)

type execResolves struct{}

var _ = register(execResolves{})

func (execResolves) Name() string { return "exec-resolves" }

func (execResolves) Promise() string {
	return "Every exec ends, for those attached to it and in GET, soon after its command ends, its time limit is reached, or its box is stopped or removed."
}

func (execResolves) Source() string {
	return "BoxLite test_execution_shutdown, test_delete_during_exec; test_exec_timeout; #37, #349, #910, #1459"
}

func (execResolves) Check(f *Facts) []Finding {
	var out []Finding
	for _, x := range f.execs {
		for _, s := range x.Attaches {
			if s.Attach != nil && s.Attach.TimedOut && !hasExit(s) && f.tooLong(x, s) {
				out = append(out, f.unresolved(x, s, "attach session silent"))
				break
			}
		}
		for _, i := range x.Infos {
			if i.View != nil && !i.View.Terminal() && i.Invoke > f.Deadline(x) {
				out = append(out, f.unresolved(x, i, "still running"))
				break
			}
		}
	}
	return out
}

// tooLong reports whether session s, which was given up, had no reason any more to be silent. One of an
// exec that waits for the end of its input had; and one through which a lot still came was not.
func (f *Facts) tooLong(x *Exec, s *model.Call) bool {
	p := x.Start.Payload
	if p.Stdin > 0 && s.Return < f.Deadline(x) {
		return false
	}
	if max(len(p.Expected(model.Out)), len(p.Expected(model.Err))) <= keptBytes || len(s.Attach.Frames) == 0 {
		return true
	}
	last := s.Attach.Frames[len(s.Attach.Frames)-1].At
	return s.Return-last >= int64(f.Meta.Limits.Resolve)/2
}

func (f *Facts) unresolved(x *Exec, c *model.Call, how string) Finding {
	state := "running"
	if f.Timeline(x.Start.Box).Over(x.Start.Invoke, c.Return)&^f.calm() != 0 {
		state = "changing"
	}
	return Finding{Call: c, Late: true, State: state, Detail: how, Action: model.OpExec, Also: []*model.Call{x.Start},
		Message: fmt.Sprintf("%s should have ended by %s at the latest, but %s: %s", label(x.Start), at(f.Deadline(x)), label(c), how),
		Allowed: fmt.Sprintf("an end within %s after its %s", f.Meta.Limits.Resolve, x.Start.Payload.Within(f.Meta.Limits.Grace)), Got: how}
}

// hasExit reports whether the exit came in session s. That no close followed is another matter.
func hasExit(s *model.Call) bool {
	_, ok := s.Attach.Exit()
	return ok
}
