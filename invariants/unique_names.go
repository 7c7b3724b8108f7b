package invariants

import (
	"fmt"

	"chaos/model"
)

type uniqueNames struct{}

var _ = register(uniqueNames{})

func (uniqueNames) Name() string { return "unique-names" }

func (uniqueNames) Promise() string {
	return "A name belongs to one box at a time, a create is refused for its name only while another box may have it, and no id is given twice."
}

func (uniqueNames) Source() string {
	return "BoxLite OpenAPI POST /boxes: 409 on a taken name; test_runner_concurrency"
}

func (uniqueNames) Check(f *Facts) []Finding {
	var creates []*model.Call
	for i := range f.Calls {
		if c := &f.Calls[i]; c.Op == model.OpCreate {
			creates = append(creates, c)
		}
	}
	out := twice(f, creates)
	for i, c := range creates {
		if c.Variant != "shared-name" && c.Variant != "" {
			continue
		}
		rival := false
		for j, d := range creates {
			if i == j || c.Name != d.Name || d.Outcome == model.Rejected {
				continue
			}
			rival = rival || d.Invoke <= c.Return && f.removedBy(d) >= c.Invoke
			if i < j && c.Outcome == model.OK && d.Outcome == model.OK && max(c.Return, d.Return) < min(f.removeBegun(c), f.removeBegun(d)) {
				out = append(out, Finding{Call: d, State: noState, Detail: "one name, two boxes", Also: []*model.Call{c},
					Message: fmt.Sprintf("%s and %s both got the name %s, and both boxes existed at once", label(c), label(d), c.Name),
					Allowed: "201 for one, 409 for the other", Got: "201 for both"})
			}
		}
		if c.Status == 409 && !rival {
			out = append(out, Finding{Call: c, State: noState, Detail: "refused a free name",
				Message: fmt.Sprintf("%s was refused for its name %s, which no other box could have had", label(c), c.Name), Allowed: "201", Got: "409"})
		}
	}
	return out
}

const never = int64(1<<63 - 1)

// removeBegun is when the first remove of c's box that was not refused was sent.
func (f *Facts) removeBegun(c *model.Call) int64 {
	begun := never
	for _, r := range f.OfBox(c.Box) {
		if r.Op == model.OpRemove && r.Outcome != model.Rejected {
			begun = min(begun, r.Invoke)
		}
	}
	return begun
}

// removedBy is when the first accepted remove of c's box was answered: it has lost its name by then.
func (f *Facts) removedBy(c *model.Call) int64 {
	by := never
	for _, r := range f.OfBox(c.Box) {
		if r.Op == model.OpRemove && r.Outcome == model.OK {
			by = min(by, r.Return)
		}
	}
	return by
}

// twice finds ids of boxes and execs that were given out more than once.
func twice(f *Facts, creates []*model.Call) []Finding {
	var out []Finding
	boxes, execs := map[string]*model.Call{}, map[string]*model.Call{}
	check := func(seen map[string]*model.Call, id string, c *model.Call) {
		if first := seen[id]; first != nil && id != "" {
			out = append(out, Finding{Call: c, State: noState, Detail: "id given twice", Also: []*model.Call{first},
				Message: fmt.Sprintf("%s and %s were given the same id %s", label(first), label(c), id), Allowed: "a new id", Got: id})
		}
		seen[id] = c
	}
	for _, c := range creates {
		if c.Outcome == model.OK && len(c.Boxes) == 1 {
			check(boxes, c.Boxes[0].ID, c)
		}
	}
	for _, x := range f.execs {
		check(execs, x.Start.ExecID, x.Start)
	}
	return out
}
