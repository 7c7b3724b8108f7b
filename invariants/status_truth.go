package invariants

import (
	"fmt"

	"chaos/model"
)

type statusTruth struct{}

var _ = register(statusTruth{})

func (statusTruth) Name() string { return "status-truth" }

func (statusTruth) Promise() string {
	return "A box's status shows what was accepted for it, within the deadline, and stays so."
}

func (statusTruth) Source() string {
	return "BoxLite state machine of the API (state, desiredState, pending); #861, PR 515"
}

func (statusTruth) Check(f *Facts) []Finding {
	var out []Finding
	for _, ref := range f.BoxRefs() {
		for _, bad := range f.contradictions(ref) {
			c := bad.Call
			if c.Op == model.OpList || c.Outcome != model.OK && c.Status != 404 {
				continue
			}
			got := "not there (404)"
			if len(c.Boxes) == 1 {
				got = c.Boxes[0].Status
			}
			if c.Op != model.OpGet {
				got = "accepted"
			}
			out = append(out, Finding{Call: c, State: name(bad.Could), Detail: got,
				Message: fmt.Sprintf("%s says %s, but the box was %s", label(c), got, bad.Could), Allowed: fmt.Sprint(bad.Could.Shows()), Got: got})
		}
		out = append(out, f.notConverged(ref)...)
		out = append(out, f.notStarted(ref)...)
	}
	return out
}

func name(s model.State) string {
	if s.Single() {
		return s.String()
	}
	return "changing"
}

// notConverged finds a stop that was accepted and whose box still showed otherwise after the deadline.
func (f *Facts) notConverged(ref model.Ref) []Finding {
	calls := f.OfBox(ref)
	for _, stop := range calls {
		if stop.Op != model.OpStop || stop.Outcome != model.OK {
			continue
		}
		deadline := stop.Return + int64(f.Meta.Limits.Converge)
		for _, look := range calls {
			if look.Op != model.OpGet || look.Invoke < deadline || len(look.Boxes) != 1 || look.Boxes[0].Status == "stopped" || f.changedBetween(calls, stop, look) {
				continue
			}
			return []Finding{{Call: look, Late: true, State: "stopping", Action: model.OpStop, Detail: "stays " + look.Boxes[0].Status, Also: []*model.Call{stop},
				Message: fmt.Sprintf("%s was accepted, but %s still shows %s", label(stop), label(look), look.Boxes[0].Status),
				Allowed: fmt.Sprintf("stopped within %s", f.Meta.Limits.Converge), Got: look.Boxes[0].Status}}
		}
	}
	return nil
}

// notStarted finds a box that could only be starting since its last start or exec was accepted, but
// still did not show as running after the deadline.
func (f *Facts) notStarted(ref model.Ref) []Finding {
	calls := f.OfBox(ref)
	for _, look := range calls {
		if look.Op != model.OpGet || len(look.Boxes) != 1 || look.Boxes[0].Status == "running" || f.During(look)&^(model.Starting|model.Running) != 0 {
			continue
		}
		start := f.lastChange(calls, look)
		if start == nil || start.Outcome != model.OK || look.Invoke < start.Return+int64(f.Meta.Limits.Converge) {
			continue
		}
		got := look.Boxes[0].Status
		return []Finding{{Call: look, Late: true, State: "starting", Action: start.Op, Detail: "stays " + got, Also: []*model.Call{start},
			Message: fmt.Sprintf("%s was accepted, but %s still shows %s", label(start), label(look), got),
			Allowed: fmt.Sprintf("running within %s", f.Meta.Limits.Converge), Got: got}}
	}
	return nil
}

// lastChange returns the call that may have changed the box last before look was answered.
func (f *Facts) lastChange(calls []*model.Call, look *model.Call) *model.Call {
	var last *model.Call
	for _, c := range calls {
		if f.life.Changes(c) && c.Invoke <= look.Return && (last == nil || f.life.Fence(f.Meta.Limits, c) > f.life.Fence(f.Meta.Limits, last)) {
			last = c
		}
	}
	return last
}

// changedBetween reports whether anything else may have changed the box between two calls.
func (f *Facts) changedBetween(calls []*model.Call, stop, look *model.Call) bool {
	for _, c := range calls {
		if c != stop && c != look && c.Op != model.OpStop && f.life.Changes(c) && f.life.Fence(f.Meta.Limits, c) >= stop.Invoke && c.Invoke <= look.Return {
			return true
		}
	}
	return false
}
