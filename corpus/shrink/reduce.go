package shrink

import (
	"iter"

	"chaos/model"
)

// edit is a candidate, and where its pass goes on from when it is accepted.
type edit struct {
	plan model.Plan
	mark mark
}

// mark is a place in a pass; what its numbers mean is the pass's own affair.
type mark struct {
	a, b int
	n    int64
}

// A pass proposes simpler plans, best first. resume is the mark of the last accepted edit of this
// pass, nil at its beginning; the plan handed in is the one that edit led to.
type pass struct {
	name  string
	edits func(s *session, p model.Plan, resume *mark) iter.Seq[edit]
}

// passes in the order they are tried: the most is gained first, the cheapest to know first.
var passes = []pass{
	{"unreached steps", unreached},
	{"boxes of the violation", focus},
	{"clients", sweep(byClient)},
	{"boxes", sweep(byRef('b'))},
	{"execs", sweep(byRef('e'))},
	{"steps", sweep(byStep)},
	{"single steps", singles},
	{"concurrency", concurrency},
	{"waits", waits},
	{"arguments", arguments},
	{"amounts", amounts},
	{"gaps", gaps},
}

// reduce runs the passes to a fixed point on each level of the test, or, again, on the last only.
func (s *session) reduce(again bool) error {
	for level := 0; level < len(s.lab.test.caps()); level++ {
		if level == 1 && !again {
			if err := s.refine(); err != nil {
				return err
			}
		}
		caps := s.lab.test.caps()
		if again {
			level = len(caps) - 1
		}
		s.cap = caps[min(level, len(caps)-1)]
		for changed := true; changed; {
			changed = false
			for _, ps := range passes {
				c, err := s.exhaust(ps)
				changed = changed || c
				if err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// exhaust takes what a pass proposes until nothing of it is accepted.
func (s *session) exhaust(ps pass) (changed bool, err error) {
	var resume *mark
	for {
		m, ok, err := s.adopt(ps, ps.edits(s, s.current().plan, resume))
		if err != nil || !ok {
			return changed, err
		}
		changed, resume = true, &m
	}
}

func (s *session) current() *evidence { return s.history[len(s.history)-1] }

// adopt takes the first edit that is legal, simpler and accepted, and makes it the current plan.
func (s *session) adopt(ps pass, edits iter.Seq[edit]) (mark, bool, error) {
	pull, stop := iter.Pull(edits)
	defer stop()
	var drawn []*evidence
	var marks []mark
	next := func() (*evidence, bool) {
		for {
			ed, ok := pull()
			if !ok {
				return nil, false
			}
			if e := s.candidate(ed.plan); e != nil {
				drawn, marks = append(drawn, e), append(marks, ed.mark)
				return e, true
			}
		}
	}
	k, err := s.lab.first(next, s.cap)
	if err != nil || k < 0 {
		return mark{}, false, err
	}
	s.accept(drawn[k], ps.name)
	return marks[k], true, nil
}

// candidate returns the evidence of p, or nil when p is not a plan or not simpler than the current one.
func (s *session) candidate(p model.Plan) *evidence {
	if len(p.Steps) == 0 {
		return nil
	}
	p = Canonical(p)
	cost := CostOf(p, s.opt.Vocab)
	if !cost.Less(s.current().cost) || p.Check() != nil {
		return nil
	}
	return s.lab.of(p, cost)
}

func (s *session) accept(e *evidence, pass string) {
	s.history = append(s.history, e)
	s.accepts++
	if s.opt.OnBetter != nil {
		s.opt.OnBetter(Progress{
			Plan: e.plan.Clone(), Certificate: NewCertificate(e.fails, e.runs, false), Pass: pass,
			Executions: s.lab.executions, Elapsed: s.opt.Clock().Sub(s.began),
		})
	}
}

// unreached drops the steps that no failing run of the current plan performed.
func unreached(s *session, p model.Plan, _ *mark) iter.Seq[edit] {
	return func(yield func(edit) bool) {
		reached := s.current().reached
		if reached == nil {
			return
		}
		drop := make([]bool, len(p.Steps))
		for i, r := range reached {
			drop[i] = !r
		}
		yield(edit{plan: without(p, withUsers(p, drop), false)})
	}
}

// focus keeps only the boxes that the violation names. Their names hold for the start plan only.
func focus(s *session, p model.Plan, _ *mark) iter.Seq[edit] {
	return func(yield func(edit) bool) {
		if len(s.focus) > 0 && s.current() == s.original {
			yield(edit{plan: without(p, withUsers(p, keeping(p, s.focus)), false)})
		}
	}
}

// sweep drops atoms in runs of neighbours: half of them, then a quarter, … then one at a time. After
// a success it goes on at the same place with the same length.
func sweep(atoms func(model.Plan) []atom) func(*session, model.Plan, *mark) iter.Seq[edit] {
	return func(_ *session, p model.Plan, resume *mark) iter.Seq[edit] {
		return func(yield func(edit) bool) {
			list := atoms(p)
			length, at := (len(list)+1)/2, 0
			if resume != nil {
				length, at = min(resume.a, (len(list)+1)/2), resume.b
			}
			for ; length > 0; length, at = length/2, 0 {
				for ; at < len(list); at += length {
					run := list[at:min(at+length, len(list))]
					if !yield(edit{dropping(p, run), mark{a: length, b: at}}) {
						return
					}
				}
			}
		}
	}
}

// singles drops one step in the ways sweep does not: its users stay and act on what never existed,
// or those who waited for it wait for what comes before it.
func singles(_ *session, p model.Plan, resume *mark) iter.Seq[edit] {
	return func(yield func(edit) bool) {
		from := len(p.Steps) - 1
		if resume != nil {
			from = min(from, resume.a)
		}
		for i := from; i >= 0; i-- {
			if p.Steps[i].Bind == "" {
				continue
			}
			one := func() []bool {
				drop := make([]bool, len(p.Steps))
				drop[i] = true
				return drop
			}
			bare := model.Plan{Steps: append(append([]model.Step(nil), p.Steps[:i]...), p.Steps[i+1:]...)}
			for _, q := range []model.Plan{without(p, withUsers(p, one()), true), bare} {
				if !yield(edit{q, mark{a: i}}) {
					return
				}
			}
		}
	}
}
