package invariants

import (
	"fmt"
	"slices"
	"time"

	"chaos/model"
)

// Invariant is one promise that histories are held against.
type Invariant interface {
	Name() string
	Promise() string // in one sentence
	Source() string  // where it is written
	Check(f *Facts) []Finding
}

// Finding is one breach of the promise.
type Finding struct {
	Call    *model.Call // the call whose answer broke it; may be nil for what no single call shows
	Action  string      // operation for the signature; Call.Op if empty
	State   string      // "" = from the timeline of the call's box, noState = it does not matter
	Detail  string      // normalised: no ids, no numbers that differ from run to run
	Message string
	Allowed string
	Got     string
	Also    []*model.Call // further calls that belong to it
	Late    bool          // a deadline passed: says nothing if the machine stood still
}

// blindable is an invariant that needs more than the calls: it says why a history does not show
// whether a violation with the signature happened, "" if it does.
type blindable interface {
	Blind(sig model.Signature, h *model.History) string
}

// Blind says why h cannot show a violation with signature sig, "" if it can. That none was found in
// such a history is no pass.
func Blind(sig model.Signature, h *model.History) string {
	inv, ok := registry.Get(sig.Invariant)
	if !ok {
		return "there is no invariant " + sig.Invariant
	}
	if b, ok := inv.(blindable); ok {
		return b.Blind(sig, h)
	}
	return ""
}

// noState is for findings that do not depend on what the box was in.
const noState = "-"

var registry = model.NewRegistry[Invariant]("invariant")

func register(i Invariant) Invariant { return registry.Add(i.Name(), i) }

// All returns every invariant, sorted by name.
func All() []Invariant { return registry.All() }

// Judge holds h against every promise of the contract.
func Judge(h *model.History, contract model.Contract) model.Verdict {
	if broken := assumptions(h); broken != "" {
		return model.Verdict{Status: model.Inconclusive, Broken: broken}
	}
	var v model.Verdict
	h = h.Excused()
	f := newFacts(h, contract)
	for _, inv := range All() {
		for _, x := range inv.Check(f) {
			if x.Late && h.Meta.Stalled > h.Meta.Limits.Stall {
				v.Unjudged = append(v.Unjudged, fmt.Sprintf("%s: a deadline passed while the machine stood still for %s", inv.Name(), h.Meta.Stalled.Round(time.Millisecond)))
				continue
			}
			v.Violations = append(v.Violations, f.violation(inv, x))
		}
	}
	v.Unjudged = append(v.Unjudged, f.unjudged()...)
	switch {
	case len(v.Violations) > 0:
		v.Status = model.Violated
	case len(v.Unjudged) > 0:
		v.Status = model.Inconclusive
	default:
		v.Status = model.Pass
	}
	return v
}

// unjudged lists what could not be looked at in this history.
func (f *Facts) unjudged() []string {
	h := f.History
	var out []string
	for _, ref := range f.BoxRefs() {
		if l := f.Linear(ref); l.undecided != "" {
			out = append(out, l.undecided)
		}
	}
	if h.Meta.Aborted != "" {
		out = append(out, "the run is not whole: "+h.Meta.Aborted)
	}
	if h.Journal.Problem != "" {
		out = append(out, "the journal is not judged: "+h.Journal.Problem)
	}
	return out
}

// violation turns a finding into its final form.
func (f *Facts) violation(inv Invariant, x Finding) model.Violation {
	sig := model.Signature{Invariant: inv.Name(), Action: x.Action, State: x.State, Detail: x.Detail}
	if x.Call != nil {
		if sig.Action == "" {
			sig.Action = x.Call.Op
		}
		if sig.State == "" && x.Call.Box != "" {
			sig.State = f.stateName(x.Call)
		}
	}
	if sig.State == noState {
		sig.State = ""
	}
	v := model.Violation{Signature: sig, Promise: inv.Promise(), Source: inv.Source(), Message: x.Message, Allowed: x.Allowed, Got: x.Got}
	for _, c := range append([]*model.Call{x.Call}, x.Also...) {
		if c != nil && !slices.Contains(v.Calls, c.ID) {
			v.Calls = append(v.Calls, c.ID)
			if c.Step >= 0 && !slices.Contains(v.Steps, c.Step) {
				v.Steps = append(v.Steps, c.Step)
			}
		}
	}
	slices.Sort(v.Steps)
	if x.Call != nil && x.Call.Box != "" {
		v.States = f.During(x.Call).String()
	}
	v.Journal = f.logOf(append([]*model.Call{x.Call}, x.Also...))
	return v
}

// mostLog bounds the lines of the log that a violation carries.
const mostLog = 12

// logOf returns the lines of the runner's log about the boxes and execs of calls, the last ones if
// there are many.
func (f *Facts) logOf(calls []*model.Call) []string {
	ids := map[string]bool{}
	for _, c := range calls {
		if c != nil {
			ids[c.BoxID], ids[c.ExecID] = true, true
		}
	}
	delete(ids, "")
	var out []string
	for _, e := range f.Journal.Entries {
		if s, _, ok := model.Sight(e.Message); ok && (ids[s.ExecID] || s.ExecID == "" && ids[s.BoxID]) {
			out = append(out, at(e.At)+" "+e.Message)
		}
	}
	return out[max(0, len(out)-mostLog):]
}

// stateName is the state for a signature: a single state by name, several as "changing", so that
// one bug does not get a signature for each set of states it can be seen in.
func (f *Facts) stateName(c *model.Call) string {
	if s := f.During(c); s.Single() {
		return s.String()
	}
	return "changing"
}
