package invariants

import (
	"fmt"
	"slices"
	"time"

	"chaos/model"
)

type execStatus struct{}

var _ = register(execStatus{})

func (execStatus) Name() string { return "exec-status" }

func (execStatus) Promise() string {
	return "What is said of an exec is true: it can be looked at and attached to until five minutes after its end, ends no earlier than its command, stays ended, and is gone once deleted."
}

func (execStatus) Source() string {
	return "BoxLite ExecutionInfo (GET agrees with the exit frame), DELETE evicts, finished execs are kept for 5 minutes, single attach; #627, PR 1022"
}

// kept is how long an exec can be looked at after its end, and how long it may be left alone before.
const kept = 5 * time.Minute

func (execStatus) Check(f *Facts) []Finding {
	var out []Finding
	for _, x := range f.execs {
		for _, c := range slices.Concat(x.Infos, x.Attaches) {
			if detail, allowed := f.untrue(x, c); detail != "" {
				out = append(out, Finding{Call: c, State: f.stateName(x.Start), Detail: detail, Also: append([]*model.Call{x.Start}, x.Kills...),
					Message: fmt.Sprintf("%s of %s: %s", label(c), label(x.Start), detail), Allowed: allowed, Got: detail})
				break
			}
		}
		if f.tooEarly(x) {
			out = append(out, Finding{Call: x.EndedBy, State: f.stateName(x.Start), Action: model.OpExec, Detail: "ended too early", Also: []*model.Call{x.Start},
				Message: fmt.Sprintf("%s shows the end of %s at %s", label(x.EndedBy), label(x.Start), at(x.Ended)),
				Allowed: fmt.Sprintf("an end after %s at the earliest", x.Start.Payload.Least()), Got: "an end before that"})
		}
	}
	return out
}

// untrue says what is wrong with the answer to a look at x or an attach, and what would be right.
func (f *Facts) untrue(x *Exec, c *model.Call) (detail, allowed string) {
	if x.deletedBefore(c) {
		if c.Outcome == model.OK {
			return "there after its deletion", "404"
		}
		return "", ""
	}
	switch {
	case c.View != nil:
		return f.untrueView(x, c)
	case c.Status == 404 || c.Status == 410:
		if !f.mayBeForgotten(x, c) {
			return fmt.Sprintf("%s says %d", c.Op, c.Status), "an exec that is there"
		}
	case c.Op == model.OpAttach && c.Status == 409:
		if !f.mayBeForgotten(x, c) && x.aloneIn(c) {
			return "first attach refused", "101"
		}
	}
	return "", ""
}

// untrueView holds the status in an answer against what is known otherwise.
func (f *Facts) untrueView(x *Exec, c *model.Call) (detail, allowed string) {
	d := f.disturbed(x, c.Return)
	switch status := c.View.Status; {
	case status == "running" && x.Ended < c.Invoke:
		return "running after its end", x.EndedBy.Op + " had shown its end"
	case status == "killed" && !d.any():
		return "killed by nobody", "completed"
	case status == "timed_out" && !d.limited:
		return "timed out before its time", "completed"
	case status != "running" && !c.View.Terminal():
		return "no such status", "running, completed, killed or timed_out"
	}
	return "", ""
}

// deletedBefore reports whether a DELETE of x had been accepted before c was sent.
func (x *Exec) deletedBefore(c *model.Call) bool {
	return slices.ContainsFunc(x.Kills, func(k *model.Call) bool { return k.Outcome == model.OK && k.Return < c.Invoke })
}

// mayBeForgotten reports whether the server need not know x, or let anybody attach to it, any more.
func (f *Facts) mayBeForgotten(x *Exec, c *model.Call) bool {
	d := f.disturbed(x, c.Return)
	return d.box || d.killed || time.Duration(c.Return-x.Start.Invoke) >= kept
}

// aloneIn reports whether no other attach may have held x when c was sent or while it was answered.
// One that was refused as the caller's mistake held nothing.
func (x *Exec) aloneIn(c *model.Call) bool {
	return !slices.ContainsFunc(x.Attaches, func(a *model.Call) bool {
		return a != c && a.Invoke <= c.Return && (a.Outcome != model.Rejected || a.Undecided())
	})
}

// tooEarly reports whether x was over although its command still had to wait and nothing ended it.
func (f *Facts) tooEarly(x *Exec) bool {
	return x.Start.Variant == "" && x.Ended < x.ownEnd() && !f.disturbed(x, x.Ended).any()
}
