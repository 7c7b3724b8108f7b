package shrink

import (
	"context"
	"fmt"
	"slices"

	"chaos/model"
)

// Role is what a part of a plan does for its failure.
type Role string

// The roles.
const (
	Needed    Role = "needed"              // without it the plan does not fail, or next to never
	Amplifies Role = "amplifies"           // without it the plan fails less often
	NoMatter  Role = "no difference"       // none was seen
	Hinders   Role = "hinders"             // without it the plan fails more often
	Unknown   Role = "could not be judged" // runs without it are inconclusive, or there was no time
)

// Cause is a part of a plan and what became of the failure without it.
type Cause struct {
	Step    int    // index of the step it belongs to
	What    string // "step", or the argument: "gap", "after", "together", or key=value
	Without Certificate
	Role    Role
}

// WhyOptions tune Why. The zero value is usable.
type WhyOptions struct {
	Runs     int // of the plan without each part; default 40
	Parallel int // runs at once, default 1
	Vocab    model.Vocabulary
	OnCause  func(done, of int, c Cause) // hears of each cause at once; may be nil
}

// Why takes every part of p away, one at a time, and measures how often the rest fails in fresh runs:
// each step with all that acts on what it makes, each argument, delay and wait, each membership in a
// group of steps that start together. When ctx ends it returns what it has, and ctx's error.
func Why(ctx context.Context, p model.Plan, run Run, opt WhyOptions) (whole Certificate, causes []Cause, err error) {
	if pr := p.Check(); pr != nil {
		return whole, nil, fmt.Errorf("check plan: %w", pr)
	}
	if opt.Runs <= 0 {
		opt.Runs = 40
	}
	lab := newLab(ctx, run, Options{Parallel: opt.Parallel, Vocab: opt.Vocab}.withDefaults())
	defer lab.close()
	measure := func(p model.Plan) (Certificate, bool, error) {
		e, err := lab.repeat(p, func(e *evidence) int {
			if e.hopeless() {
				return 0
			}
			return opt.Runs - e.runs
		})
		return NewCertificate(e.fails, e.runs, true), e.hopeless() || e.runs == 0, err
	}
	whole, _, err = measure(p)
	if err != nil {
		return whole, nil, err
	}
	list := parts(p)
	for i, x := range list {
		without, blind, err := measure(x.rest)
		if err != nil {
			return whole, causes, err
		}
		c := Cause{Step: x.step, What: x.what, Without: without, Role: role(whole, without)}
		if blind {
			c.Role = Unknown
		}
		causes = append(causes, c)
		if opt.OnCause != nil {
			opt.OnCause(i+1, len(list), c)
		}
	}
	return whole, causes, nil
}

// next to never: this part of the whole rate, at most.
const nextToNever = 0.2

// role compares the intervals, so that chance does not make a cause: a part matters when they do not
// overlap.
func role(whole, without Certificate) Role {
	switch {
	case without.High < whole.Low && (without.Failures == 0 || without.Rate() <= nextToNever*whole.Rate()):
		return Needed
	case without.High < whole.Low:
		return Amplifies
	case without.Low > whole.High:
		return Hinders
	}
	return NoMatter
}

// part is something that can be taken away from a plan.
type part struct {
	step int
	what string
	rest model.Plan
}

func parts(p model.Plan) []part {
	var out []part
	add := func(i int, what string, rest model.Plan) {
		if len(rest.Steps) > 0 && rest.Check() == nil {
			out = append(out, part{i, what, rest.Normalize()})
		}
	}
	for i, s := range p.Steps {
		add(i, "step", dropping(p, []atom{{i}}))
		if s.Group != 0 {
			add(i, "together", takeOut(p, i, false))
		}
		change := func(what string, f func(*model.Step)) {
			q := p.Clone()
			f(&q.Steps[i])
			add(i, what, q)
		}
		for _, a := range s.Args {
			change(a.Key+"="+a.Value, func(s *model.Step) { s.Args = s.Args.With(a.Key, "") })
		}
		if s.After != "" {
			change("after="+string(s.After), func(s *model.Step) { s.After = "" })
		}
		if s.Gap > 0 {
			change("gap="+s.Gap.String(), func(s *model.Step) { s.Gap = 0 })
		}
	}
	return out
}

// TuneOptions tune Tune. The zero value is usable.
type TuneOptions struct {
	Tries    int // schedules that are drawn; default 24
	Parallel int
	Vocab    model.Vocabulary
	OnRound  func(left, runs int, best Candidate) // hears of each round; may be nil
}

// The rounds of Tune: runs of each plan that is left, all told, and which part of them stays.
var tuneRounds = []struct{ runs, keep int }{{4, 4}, {12, 3}, {30, 2}}

// Tune looks for a schedule of messages under which p fails more often. draw returns p under schedule
// n, the same for the same n. Plans that fail rarely are given up early (successive halving, Karnin
// et al., ICML 2013). The winner's schedule is then reduced to what it needs, and its rate is from
// fresh runs. ok is false when no schedule is clearly better than p as it is.
func Tune(ctx context.Context, p model.Plan, draw func(n int) model.Plan, run Run, opt TuneOptions) (best, whole Candidate, ok bool, err error) {
	if opt.Tries <= 0 {
		opt.Tries = 24
	}
	o := Options{Parallel: opt.Parallel, Vocab: opt.Vocab}.withDefaults()
	lab := newLab(ctx, run, o)
	defer lab.close()
	var left []*evidence
	for n := range opt.Tries {
		if q := draw(n); q.Check() == nil {
			left = append(left, &evidence{plan: q, cost: CostOf(q, opt.Vocab)})
		}
	}
	for _, round := range tuneRounds {
		for _, e := range left {
			if err := lab.topUp(e, round.runs); err != nil {
				return best, whole, false, err
			}
		}
		slices.SortStableFunc(left, func(a, b *evidence) int { return b.fails*max(a.runs, 1) - a.fails*max(b.runs, 1) })
		left = left[:max(1, len(left)/round.keep)]
		if opt.OnRound != nil {
			opt.OnRound(len(left), lab.executions, Candidate{left[0].plan, NewCertificate(left[0].fails, left[0].runs, false)})
		}
	}
	certify := func(p model.Plan) (Candidate, error) {
		e := &evidence{plan: p}
		err := lab.topUp(e, o.CertRuns)
		return Candidate{p, NewCertificate(e.fails, e.runs, true)}, err
	}
	if whole, err = certify(p); err != nil {
		return best, whole, false, err
	}
	slim, err := lab.slim(left[0])
	if err != nil {
		return best, whole, false, err
	}
	if best, err = certify(slim); err != nil {
		return best, whole, false, err
	}
	return best, whole, best.Certificate.Low > whole.Certificate.High, nil
}

// topUp runs e until it has had so many conclusive runs.
func (l *lab) topUp(e *evidence, runs int) error {
	had := *e
	more, err := l.repeat(e.plan, func(m *evidence) int {
		if m.hopeless() {
			return 0
		}
		return runs - had.runs - m.runs
	})
	e.fails, e.runs, e.inconclusive = had.fails+more.fails, had.runs+more.runs, had.inconclusive+more.inconclusive
	return err
}

// slimRuns is how often a plan is run without one of its schedule's arguments.
const slimRuns = 24

// slim drops the arguments of e's schedule that it fails as often without.
func (l *lab) slim(e *evidence) (model.Plan, error) {
	p, rate := e.plan, float64(e.fails)/float64(max(e.runs, 1))
	for i := range p.Steps {
		for _, a := range model.ScheduleArgs() {
			if !p.Steps[i].Args.Has(a.Name) {
				continue
			}
			q := p.Clone()
			q.Steps[i].Args = q.Steps[i].Args.With(a.Name, "")
			x := &evidence{plan: q}
			if err := l.topUp(x, slimRuns); err != nil {
				return p, err
			}
			if x.runs > 0 && float64(x.fails)/float64(x.runs) >= 0.9*rate {
				p = q
			}
		}
	}
	return p, nil
}
