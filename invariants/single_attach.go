package invariants

import (
	"fmt"
	"net/http"
	"time"

	"chaos/model"
)

type singleAttach struct{}

var _ = register(singleAttach{})

func (singleAttach) Name() string { return "single-attach" }

func (singleAttach) Promise() string {
	return "An execution has at most one read-write attach session at a time; the loser is refused with 409, and only as long as the winner is there or has just gone."
}

func (singleAttach) Source() string {
	return "BoxLite attach protocol: the slot is claimed before the upgrade and freed within 5 s of the session's end; PR 1546, PR 1569"
}

func (singleAttach) Check(f *Facts) []Finding {
	var out []Finding
	for _, x := range f.execs {
		if bad := f.twoAtOnce(x); bad != nil {
			out = append(out, *bad)
		}
		for _, c := range x.Attaches {
			if bad := f.wronglyRefused(x, c); bad != nil {
				out = append(out, *bad)
				break // the next try is refused for the same reason
			}
		}
	}
	return out
}

// twoAtOnce finds a session that began while another one was surely there.
func (f *Facts) twoAtOnce(x *Exec) *Finding {
	for _, first := range x.Attaches {
		for _, second := range x.Attaches {
			if first == second || !writes(first) || !writes(second) {
				continue
			}
			if t := second.Attach.Opened; !f.holds(x, first, t) || !f.holds(x, second, t) {
				continue
			}
			return &Finding{Call: second, Detail: "two at once", State: f.stateName(x.Start), Also: []*model.Call{first, x.Start},
				Message: fmt.Sprintf("%s was let in at %s although %s was attached and %s still ran", label(second), at(second.Attach.Opened), label(first), label(x.Start)),
				Allowed: "409", Got: "101"}
		}
	}
	return nil
}

// writes reports whether c is a session that must have the slot.
func writes(c *model.Call) bool { return c.Attach != nil && !c.ReadOnly && c.Attach.Opened > 0 }

// holds reports whether session s surely has the slot at time t. A server ends a session by itself
// only when its exec ends, or when the caller does not read.
func (f *Facts) holds(x *Exec, s *model.Call, t int64) bool {
	a := s.Attach
	if t < a.Opened || a.Slow > 0 || !f.runsAt(x, t) {
		return false
	}
	_, exited := a.Exit()
	switch {
	case a.Cut:
		return len(a.Frames) > 0 && t < a.Frames[len(a.Frames)-1].At
	case a.TimedOut:
		return t < s.Return
	}
	return exited
}

// runsAt reports whether the exec surely runs at time t: somebody saw it run later, or nobody can
// have ended it before its time.
func (f *Facts) runsAt(x *Exec, t int64) bool {
	for _, i := range x.Infos {
		if i.View != nil && i.View.Status == "running" && i.Invoke >= t {
			return true
		}
	}
	return t < x.ownEnd() && !f.disturbed(x, t).any()
}

// oldSlot is the limit for histories from before there was one.
const oldSlot = 15 * time.Second

// wronglyRefused finds a 409 that nothing accounts for. That of an attach without any other is a matter
// of exec-status.
func (f *Facts) wronglyRefused(x *Exec, c *model.Call) *Finding {
	if c.Status != http.StatusConflict || x.aloneIn(c) || f.mayBeForgotten(x, c) || f.disturbed(x, c.Return).limited {
		return nil
	}
	limit := f.Meta.Limits.Slot
	if limit == 0 {
		limit = oldSlot
	}
	bad := &Finding{Call: c, Detail: "refused though nobody has the slot", State: f.stateName(x.Start), Also: []*model.Call{x.Start}, Allowed: "101", Got: "409",
		Message: fmt.Sprintf("%s was refused although nobody had the slot of %s", label(c), label(x.Start))}
	for _, s := range x.Attaches {
		if s == c || s.Outcome == model.Rejected || s.Invoke > c.Return || !f.claims(s) || !f.claims(c) {
			continue
		}
		if s.Outcome == model.Unknown || s.Return+int64(limit) >= c.Invoke {
			return nil
		}
		bad.Late, bad.Detail = true, "refused after the last session"
		bad.Also = append(bad.Also, s)
		bad.Message = fmt.Sprintf("%s was refused although the last session of %s, %s, ended at %s", label(c), label(x.Start), label(s), at(s.Return))
	}
	return bad
}

// claims reports whether an attach may need the slot. A read-only one does not, but some runners
// understand only stdin=false and take stdin=0 for read-write.
func (f *Facts) claims(c *model.Call) bool { return !c.ReadOnly || f.Contract.Profile == "cloud" }
