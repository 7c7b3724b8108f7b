package invariants

import (
	"fmt"

	"chaos/model"
)

type quota struct{}

var _ = register(quota{})

func (quota) Name() string { return "quota" }

func (quota) Promise() string {
	return "An organization never has more boxes than its limit, and a create is refused for the limit only while that many may be there."
}

func (quota) Source() string {
	return "BoxLite PR 1417: 429 resource_exhausted at the organization's limit of boxes; PR 1400; test_quota_enforcement"
}

// Blind implements blindable.
func (quota) Blind(_ model.Signature, h *model.History) string {
	if h.Meta.Quota == 0 {
		return "how many boxes may exist is not known here"
	}
	return ""
}

func (quota) Check(f *Facts) []Finding {
	if f.Meta.Quota == 0 {
		return nil
	}
	var creates []*model.Call
	for i := range f.Calls {
		if c := &f.Calls[i]; c.Op == model.OpCreate {
			creates = append(creates, c)
		}
	}
	return append(f.overLimit(creates), f.refusedTooEarly(creates)...)
}

// overLimit finds the create with which there were more boxes than the limit, all of them for sure:
// made before it was answered, and nobody had asked yet to remove them.
func (f *Facts) overLimit(creates []*model.Call) []Finding {
	for _, c := range creates {
		if c.Outcome != model.OK {
			continue
		}
		n, also := 0, []*model.Call{}
		for _, d := range creates {
			if d.Outcome == model.OK && d.Return <= c.Return && f.surelyUntil(d) > c.Return {
				n++
				also = append(also, d)
			}
		}
		if n > f.Meta.Quota {
			return []Finding{{Call: c, Also: also, State: noState, Detail: "over the limit",
				Message: fmt.Sprintf("%s was answered with %d, and with it there were %d boxes at once", label(c), c.Status, n),
				Allowed: fmt.Sprintf("%d boxes, then 429", f.Meta.Quota), Got: fmt.Sprintf("%d boxes", n)}}
		}
	}
	return nil
}

// refusedTooEarly finds creates refused for the limit while fewer boxes than that can have existed.
func (f *Facts) refusedTooEarly(creates []*model.Call) []Finding {
	var out []Finding
	for _, c := range creates {
		code := model.ParseError(c.Body).Code
		if c.Status != 429 || c.Variant != "" && c.Variant != "shared-name" || code != "" && code != "resource_exhausted" {
			continue // another 429 is for a box that is too large, or for too many requests
		}
		if most := f.mostDuring(c, creates); most < f.Meta.Quota {
			out = append(out, Finding{Call: c, State: noState, Detail: "refused below the limit",
				Message: fmt.Sprintf("%s was refused for the limit of %d boxes, but at most %d can have been there: %s", label(c), f.Meta.Quota, most, short(c.Body)),
				Allowed: "201", Got: "429"})
		}
	}
	return out
}

// mostDuring returns how many other boxes can have existed at one moment of c.
func (f *Facts) mostDuring(c *model.Call, creates []*model.Call) int {
	moments := []int64{c.Invoke}
	for _, d := range creates {
		if d.Invoke > c.Invoke && d.Invoke <= c.Return {
			moments = append(moments, d.Invoke)
		}
	}
	most := 0
	for _, t := range moments {
		n := 0
		for _, d := range creates {
			if d != c && d.Invoke <= t && f.maybeUntil(d) >= t {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// surelyUntil is when somebody first asked for the removal of c's box.
func (f *Facts) surelyUntil(c *model.Call) int64 {
	until := f.removeBegun(c)
	for _, r := range f.OfBox(c.Box) {
		if r.Op == model.OpRemove && r.Undecided() || r.Op == model.OpProbe && r.Route == model.OpRemove && (r.Outcome == model.OK || r.Undecided()) {
			until = min(until, r.Invoke)
		}
	}
	return until
}

// maybeUntil is how long the box of c can have taken a place. A create that was refused may have had
// one while it lasted. A delete gives the place back when it is accepted: with that answer the box is
// gone for its owner, name included.
func (f *Facts) maybeUntil(c *model.Call) int64 {
	if c.Outcome == model.Rejected && !c.Undecided() {
		return c.Return
	}
	return f.removedBy(c)
}
