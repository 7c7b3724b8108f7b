// Package doctor finds out which contract a running stack keeps, by asking it with a handful of boxes
// of its own.
package doctor

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"chaos/model"
	"chaos/stack"
)

// Answer is one thing that was seen: a request with its answer, and what the contracts say to it.
type Answer struct {
	Request string      `json:"request"` // for people, e.g. "POST …/exec on a stopped box"
	State   model.State `json:"-"`       // of the box at that moment
	Status  int         `json:"status"`
	Shows   string      `json:"shows,omitempty"` // status of the box in the answer
	Body    string      `json:"body,omitempty"`  // of a refusal, its beginning

	op, variant string
	// want are the statuses that each profile allows, where that does not stand in the contract's table.
	want   map[string][]int
	source string
	anyway bool // the body of a refusal may have any shape
}

// Contradiction is an answer that a contract does not allow.
type Contradiction struct {
	Request  string `json:"request"`
	Expected string `json:"expected"`
	Got      string `json:"got"`
	Source   string `json:"source"` // where the contract says so
}

// Fit is how well the answers fit one contract.
type Fit struct {
	Contract       model.Contract
	Contradictions []Contradiction
}

// OK reports whether nothing contradicts the contract.
func (f Fit) OK() bool { return len(f.Contradictions) == 0 }

// Diagnosis is what an examination showed.
type Diagnosis struct {
	Answers []Answer
	// Flags are those that the answers tell.
	Flags model.Flags
	// wrong are answers that no contract allows, whatever its profile.
	wrong []Contradiction
}

// Fits returns the profiles, each with flags and, where those say nothing, with what was seen, the
// best fit first: with the fewest contradictions, and of equals the one that differs least from its
// profile.
func (d *Diagnosis) Fits(flags model.Flags) []Fit {
	var out []Fit
	for _, p := range model.Profiles() {
		f, _ := d.Against(p, flags)
		out = append(out, f)
	}
	slices.SortStableFunc(out, func(a, b Fit) int {
		return cmp.Or(cmp.Compare(len(a.Contradictions), len(b.Contradictions)), cmp.Compare(len(a.Contract.Changed()), len(b.Contract.Changed())))
	})
	return out
}

// Against holds the answers against a profile with flags; those not given are the ones that were seen.
// ok is false when there is no such profile.
func (d *Diagnosis) Against(profile string, flags model.Flags) (f Fit, ok bool) {
	all := model.Flags{}
	for _, from := range []model.Flags{d.Flags, flags} {
		for name, value := range from {
			all[name] = value
		}
	}
	if f.Contract, ok = model.Lookup(profile, all); !ok {
		return f, false
	}
	f.Contradictions = slices.Clone(d.wrong)
	for _, s := range model.FlagSpecs() {
		if seen, asked := d.Flags[s.Name], flags[s.Name]; seen != "" && asked != "" && seen != asked {
			f.Contradictions = append(f.Contradictions, Contradiction{"all of it: " + s.Doc, s.Name + "=" + asked, s.Name + "=" + seen, "flags of the contract"})
		}
	}
	for _, a := range d.Answers {
		f.Contradictions = append(f.Contradictions, a.against(f.Contract)...)
	}
	return f, true
}

// against returns how the answer contradicts c.
func (a Answer) against(c model.Contract) []Contradiction {
	allowed, sources := a.want[c.Profile], []string{a.source}
	if a.want == nil {
		allowed, sources, _ = c.Allowed(a.op, a.variant, a.State)
	}
	got := fmt.Sprintf("%d %s", a.Status, http.StatusText(a.Status))
	if a.Body != "" {
		got += ": " + a.Body
	}
	if !slices.Contains(allowed, a.Status) {
		return []Contradiction{{a.Request, orList(allowed), got, strings.Join(sources, "; ")}}
	}
	if a.Status < 400 || a.anyway {
		return nil
	}
	body := model.ParseError(a.Body)
	switch {
	case !slices.Contains(c.Shapes(), body.Shape):
		return []Contradiction{{a.Request, "an error body of shape " + orList(c.Shapes()), string(body.Shape) + ": " + a.Body, "OpenAPI ErrorModel"}}
	case body.Code != "" && !model.CodeFits(body.Code, a.Status):
		return []Contradiction{{a.Request, "an error code that goes with the status", got, "error code table"}}
	}
	return nil
}

func orList[T any](list []T) string {
	var out []string
	for _, x := range list {
		out = append(out, fmt.Sprint(x))
	}
	return strings.Join(out, " or ")
}

// Unable is the error of an examination that could not be carried out, although the stack answers.
type Unable struct{ Why string }

func (u *Unable) Error() string { return "cannot examine the stack: " + u.Why }

// Examine asks the stack behind c. All boxes that it makes are gone when it returns, also when ctx
// ends early.
func Examine(ctx context.Context, c *stack.Client, limits model.Limits) (*Diagnosis, error) {
	x := newExaminer(c, limits)
	err := x.examine(ctx)
	dirty := x.cleanUp(context.WithoutCancel(ctx)) // also when nobody waits for the result any more
	return x.out, cmp.Or(err, dirty)
}
