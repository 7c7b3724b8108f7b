package invariants

import (
	"fmt"
	"strings"

	"chaos/model"
)

type nothingLeft struct{}

var _ = register(nothingLeft{})

func (nothingLeft) Name() string { return "nothing-left" }

func (nothingLeft) Promise() string {
	return "After a box is removed, or its create refused, nothing of it is left: no process, no directory, no record."
}

func (nothingLeft) Source() string { return "BoxLite PR 876, #1239, #71, PR 1427" }

// Blind implements blindable. Records show in the list; the rest only on the machine.
func (nothingLeft) Blind(sig model.Signature, h *model.History) string {
	if sig.Action == model.OpRemove && !h.Meta.ResidueChecked {
		return "the machine of this stack is not searched for leftovers"
	}
	return ""
}

func (nothingLeft) Check(f *Facts) []Finding {
	var out []Finding
	seen := map[string]bool{}
	for _, r := range f.Residue {
		kind, _, _ := strings.Cut(r.What, " ")
		if seen[r.BoxID+kind] {
			continue
		}
		seen[r.BoxID+kind] = true
		out = append(out, Finding{Call: f.removeOf(r.BoxID), State: noState, Action: model.OpRemove, Detail: kind + " left", Late: true,
			Message: fmt.Sprintf("box %s was removed, but %s is still there", r.BoxID, r.What), Allowed: "nothing", Got: r.What})
	}
	return append(out, f.refusedButListed()...)
}

func (f *Facts) removeOf(id string) *model.Call {
	for i := range f.Calls {
		if c := &f.Calls[i]; c.Op == model.OpRemove && c.Outcome == model.OK && c.BoxID == id {
			return c
		}
	}
	return nil
}

// refusedButListed finds records of boxes that no create returned. A create that was never answered
// may have made one.
func (f *Facts) refusedButListed() []Finding {
	var out []Finding
	seen := map[string]bool{}
	for i := range f.Calls {
		list := &f.Calls[i]
		if list.Op != model.OpList {
			continue
		}
		for _, b := range list.Boxes {
			if b.Ref != "" || seen[b.ID] {
				continue
			}
			seen[b.ID] = true
			refused := f.refusedCreate(b.Name)
			if refused == nil {
				continue
			}
			out = append(out, Finding{Call: list, Also: []*model.Call{refused}, State: noState, Action: model.OpCreate, Detail: "record left by a refused create",
				Message: fmt.Sprintf("%s shows box %s named %s, but %s was refused with %d", label(list), b.ID, b.Name, label(refused), refused.Status),
				Allowed: "no record", Got: b.Status})
		}
	}
	return out
}

// refusedCreate returns the refused create of name, or nil if any create of that name may have made a box.
func (f *Facts) refusedCreate(name string) *model.Call {
	var refused *model.Call
	for i := range f.Calls {
		c := &f.Calls[i]
		switch {
		case c.Op != model.OpCreate || c.Name != name:
		case c.Outcome == model.Unknown:
			return nil
		case c.Outcome == model.Rejected:
			refused = c
		}
	}
	return refused
}
