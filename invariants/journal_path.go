package invariants

import (
	"fmt"

	"chaos/model"
)

type journalPath struct{}

var _ = register(journalPath{})

func (journalPath) Name() string { return "journal-path" }

func (journalPath) Promise() string {
	return "The runner itself made every box, started every exec and destroyed every removed box, and made none that nobody asked for: its journal says so."
}

func (journalPath) Source() string { return "BoxLite test_path_verification (PR 678)" }

// Blind implements blindable.
func (journalPath) Blind(sig model.Signature, h *model.History) string {
	switch {
	case h.Journal.Kind == "":
		return "the runner's journal is not read on this stack"
	case h.Journal.Problem != "":
		return "the journal cannot be relied on: " + h.Journal.Problem
	case sig.Detail == execNotStarted && !h.Meta.ExecLogged:
		return "the runner of this stack does not log execs"
	case sig.Detail == nobodyAsked && !h.Journal.Exclusive:
		return "others may use this stack"
	}
	return ""
}

// Details of signatures.
const (
	execNotStarted = "exec not started by the runner"
	nobodyAsked    = "box nobody asked for"
)

func (journalPath) Check(f *Facts) []Finding {
	if f.Journal.Kind == "" || f.Journal.Problem != "" {
		return nil
	}
	seen := map[string]bool{}
	for _, e := range f.Journal.Entries {
		s, job, ok := model.Sight(e.Message)
		if !ok {
			continue
		}
		seen[s.What+" "+job+" "+s.BoxID] = true
		if s.ExecID != "" {
			seen[s.What+" "+s.ExecID] = true
		}
	}
	var out []Finding
	lacks := func(c *model.Call, what, detail string) {
		out = append(out, Finding{Call: c, State: noState, Detail: detail,
			Message: fmt.Sprintf("%s was answered with success, but the runner's journal has no line that says %s", label(c), what),
			Allowed: "a line of the runner with the id", Got: "none"})
	}
	for i := range f.Calls {
		c := &f.Calls[i]
		if c.Outcome != model.OK {
			continue
		}
		switch {
		case c.Op == model.OpCreate && c.BoxID != "" && !seen[model.SawCreate+"  "+c.BoxID]:
			lacks(c, "it made box "+c.BoxID, "box not made by the runner")
		case c.Op == model.OpExec && f.Meta.ExecLogged && c.ExecID != "" && !seen[model.SawExec+" "+c.ExecID]:
			lacks(c, "it started execution "+c.ExecID, execNotStarted)
		case c.Op == model.OpRemove && c.Variant == "" && seen[model.SawCreate+"  "+c.BoxID] && !seen[model.SawDone+" DESTROY_BOX "+c.BoxID]:
			lacks(c, "it destroyed box "+c.BoxID, "box not destroyed by the runner")
			out[len(out)-1].Late = true
		}
	}
	for _, id := range f.Journal.Foreign {
		out = append(out, Finding{Action: model.OpCreate, State: noState, Detail: nobodyAsked,
			Message: "the runner made box " + id + ", but no create was answered with that id", Allowed: "only boxes that a create returned", Got: id})
	}
	return out
}
