package invariants

import (
	"fmt"

	"chaos/model"
)

type journalPath struct{}

var _ = register(journalPath{})

func (journalPath) Name() string { return "journal-path" }

func (journalPath) Promise() string {
	return "The runner itself made every box once, started every exec in its box and destroyed every removed box, and made none that nobody asked for: its journal says so, and agrees with the answers."
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
		if c.Outcome != model.OK || f.LogExcused(c) {
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
	return append(out, f.logContradicts()...)
}

// logContradicts finds answers of success that the log contradicts.
func (f *Facts) logContradicts() []Finding {
	made, failed, done := map[string]int{}, map[string]bool{}, map[string]bool{}
	where, exits := map[string]string{}, map[string]int{}
	for _, e := range f.Journal.Entries {
		s, job, ok := model.Sight(e.Message)
		if !ok {
			continue
		}
		switch s.What {
		case model.SawCreate:
			made[s.BoxID]++
		case model.SawFailed:
			failed[job+s.BoxID] = true
		case model.SawDone:
			done[job+s.BoxID] = true
		case model.SawExec:
			where[s.ExecID] = s.BoxID
		case model.SawExecEnd:
			if s.Exit != nil {
				exits[s.ExecID] = *s.Exit
			}
		}
	}
	var out []Finding
	says := func(c *model.Call, action, detail, allowed, got string) {
		out = append(out, Finding{Call: c, Action: action, State: noState, Detail: detail, Allowed: allowed, Got: got,
			Message: fmt.Sprintf("%s was answered with success, but the runner's journal says: %s", label(c), got)})
	}
	for i := range f.Calls {
		c := &f.Calls[i]
		if c.Outcome != model.OK {
			continue
		}
		const job = "CREATE_BOX"
		switch {
		case c.Op == model.OpCreate && made[c.BoxID] > 1 && !f.LogExcused(c):
			says(c, "", "box made twice", "one box", fmt.Sprintf("box %s was made %d times", c.BoxID, made[c.BoxID]))
		case c.Op == model.OpCreate && failed[job+c.BoxID] && !done[job+c.BoxID]:
			says(c, "", "job failed", "a job that was completed", "the job that was to make box "+c.BoxID+" failed")
		case c.Op == model.OpExec && where[c.ExecID] != "" && where[c.ExecID] != c.BoxID:
			says(c, "", "exec in another box", "box "+c.BoxID, "execution "+c.ExecID+" was started in box "+where[c.ExecID])
		}
		if logged, ok := exits[c.ExecID]; ok {
			if told, ok := toldExit(c); ok && !sameCode(told, logged) {
				says(c, model.OpExec, "other exit code", fmt.Sprint(told), fmt.Sprintf("execution %s ended with %d", c.ExecID, logged))
			}
		}
	}
	return out
}

// toldExit is the exit code that the answer of c tells, if it tells one.
func toldExit(c *model.Call) (int, bool) {
	if c.Attach != nil {
		fr, ok := c.Attach.Exit()
		return fr.Exit, ok
	}
	if c.View.Terminal() && c.View.Exit != nil {
		return *c.View.Exit, true
	}
	return 0, false
}
