package invariants

import (
	"fmt"
	"strings"

	"chaos/model"
)

type tenantIsolation struct{}

var _ = register(tenantIsolation{})

func (tenantIsolation) Name() string { return "tenant-isolation" }

func (tenantIsolation) Promise() string {
	return "A box of another organization cannot be told from one that does not exist, and no list shows it."
}

func (tenantIsolation) Source() string {
	return "BoxLite test_cross_org_isolation, POL-257: 404 with the body of a missing id, 401 or 403 on a foreign prefix, not in the list"
}

// Blind implements blindable.
func (tenantIsolation) Blind(sig model.Signature, h *model.History) string {
	switch {
	case sig.Action == model.OpProbe && !h.Meta.OtherTenant:
		return "there is no key of another organization"
	case sig.Action == model.OpList && !h.Meta.Alone:
		return "others use the organization too"
	}
	return ""
}

func (tenantIsolation) Check(f *Facts) []Finding {
	var out []Finding
	for i := range f.Calls {
		c := &f.Calls[i]
		if c.Op == model.OpList && f.Meta.Alone && c.Others > f.nameless(c) {
			out = append(out, Finding{Call: c, State: noState, Detail: "shows boxes of others",
				Message: fmt.Sprintf("%s shows %d boxes that are not of this organization", label(c), c.Others), Allowed: "0", Got: fmt.Sprint(c.Others)})
		}
		if c.Op == model.OpProbe && c.Outcome != model.Unknown && c.Status != 429 {
			out = append(out, f.foreigner(c)...)
		}
	}
	return out
}

// nameless counts the boxes that may be ours under names that are not: those of creates with a blank
// name that were not refused.
func (f *Facts) nameless(list *model.Call) int {
	n := 0
	for i := range f.Calls {
		if c := &f.Calls[i]; c.Op == model.OpCreate && c.Variant == "name-blank" && c.Invoke <= list.Return && (c.Outcome != model.Rejected || c.Undecided()) {
			n++
		}
	}
	return n
}

// foreigner judges a probe by another organization.
func (f *Facts) foreigner(c *model.Call) []Finding {
	who := "the key of another organization"
	switch c.Variant {
	case "other", "other-own":
	case "other-missing":
		who += " and an id that nothing has"
	case "stranger":
		who += " on our path"
	default:
		return nil
	}
	var out []Finding
	if x, wrong := f.letIn(c, who); wrong {
		out = append(out, x)
	} else if twin := f.twin(c); twin != nil {
		if foreign, missing := likeness(c), likeness(twin); foreign != missing {
			out = append(out, Finding{Call: c, Also: []*model.Call{twin}, State: noState, Detail: route(c) + ": not as if it did not exist",
				Message: fmt.Sprintf("%s with %s was answered otherwise than %s, which is for a box that does not exist: %s", label(c), who, label(twin), short(c.Body)),
				Allowed: missing, Got: foreign})
		}
	}
	if x, told := f.told(c, who); told {
		out = append(out, x)
	}
	return out
}

// twin returns the same request for a box that does not exist.
func (f *Facts) twin(c *model.Call) *model.Call {
	if c.Variant != "other" {
		return nil
	}
	for i := range f.Calls {
		if x := &f.Calls[i]; x.Op == model.OpProbe && x.Step == c.Step && x.Variant == "other-missing" && x.Outcome != model.Unknown && x.Status != 429 {
			return x
		}
	}
	return nil
}

// likeness is everything in an answer that a caller can tell a box by, without its ids.
func likeness(c *model.Call) string {
	if c.Outcome == model.OK {
		return fmt.Sprint(c.Status)
	}
	b := model.ParseError(c.Body)
	for _, id := range []string{c.BoxID, c.ExecID, c.Name} {
		if id != "" {
			b.Message = strings.ReplaceAll(b.Message, id, "ID")
		}
	}
	return fmt.Sprintf("%d, %s shape, code %q, type %q, status %d in the body: %s", c.Status, b.Shape, b.Code, b.Type, b.Status, b.Message)
}
