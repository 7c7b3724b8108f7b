package shrink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"chaos/model"
)

// Outcome is what one execution of a plan showed.
type Outcome struct {
	Failed       bool              // the wanted signature occurred
	Slips        []model.Violation // violations with other signatures
	Inconclusive bool              // nothing can be said; counts neither as failure nor as pass, unless Failed
	Why          string            // why it is inconclusive, for people; may be empty
	Reached      []bool            // for each step whether it was performed, nil = not known
}

// Run performs p once. It must be safe for concurrent use when Options.Parallel is above 1, and must
// return soon after ctx ends, for Shrink waits for it. An error means that the harness is broken,
// not that the plan failed; it ends shrinking.
type Run func(ctx context.Context, p model.Plan) (Outcome, error)

// Options tune Shrink. The zero value is usable.
type Options struct {
	Parallel      int           // runs at once, default 1
	MaxExecutions int           // 0 = no limit
	Budget        time.Duration // no run starts after it, 0 = no limit
	// Noise is twice the rate at which the same signature shows in other plans; a rate must stand
	// out from it, and from 0.02 at least.
	Noise float64
	// RateFloor is the rate from which a plan counts as reliable, default 0.3.
	RateFloor float64
	// CertRuns is the number of fresh runs of the result, default 60. When all of the first 20
	// fail the rest is saved.
	CertRuns int
	// Vocab tells which argument values are simpler than others. Without it arguments are only
	// removed or, if numbers or durations, lowered.
	Vocab model.Vocabulary
	// Focus names the boxes of the violation, as the start plan calls them; they are tried alone first.
	Focus []model.Ref
	// OnBetter hears of every simpler plan at once, OnSlip of the first violation of each other
	// signature. Neither is called concurrently.
	OnBetter func(Progress)
	OnSlip   func(model.Violation, model.Plan)
	Clock    func() time.Time // for Budget, default time.Now
}

func (o Options) withDefaults() Options {
	o.Parallel = max(o.Parallel, 1)
	if o.RateFloor <= 0 {
		o.RateFloor = 0.3
	}
	if o.CertRuns <= 0 {
		o.CertRuns = 60
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return o
}

// Progress is a plan simpler than all before it.
type Progress struct {
	Plan        model.Plan
	Certificate Certificate // from the runs that chose it, never fresh
	Pass        string      // what made it simpler
	Executions  int         // so far
	Elapsed     time.Duration
}

// Candidate is a plan and how often it fails.
type Candidate struct {
	Plan        model.Plan
	Certificate Certificate
}

// Slip is a violation with another signature that was seen on the way.
type Slip struct {
	Violation model.Violation
	Plan      model.Plan // the simplest that showed it
	Times     int
	cost      Cost
}

// Spent counts executions by what they were for.
type Spent struct{ Estimate, Reduce, Certify int }

// Result is what shrinking ended with. Plans in it are canonical, see Canonical.
type Result struct {
	Shortest Candidate // the simplest plan that holds
	Reliable Candidate // the simplest known whose rate is not below the floor; often equal to Shortest
	Flaky    bool      // the original was not told apart from noise and not shrunk; both ends are the original
	// OriginalRate is from the runs that estimated the original's rate.
	OriginalRate Certificate
	Executions   int
	Spent        Spent
	Inconclusive int // executions nothing could be said of
	Accepted     int // simplifications
	RolledBack   int // accepted plans given up because they did not hold in fresh runs
	// Interrupted tells that not everything was tried; Stopped says why.
	Interrupted bool
	Stopped     string
	Slips       []Slip
}

// certificateShare is the part of a budget that is kept for the certificate.
const certificateShare = 0.15

// Shrink reduces start, a plan that failed, to a simpler one that still fails.
//
// When ctx ends, or a budget, the best so far is returned with Interrupted set and no error. An
// error of run ends shrinking too; it is returned together with the best so far. The only other
// error is a start plan that does not pass model.Plan.Check, or a nil run.
func Shrink(ctx context.Context, start model.Plan, run Run, opt Options) (Result, error) {
	if run == nil {
		return Result{}, errors.New("shrink: no way to run plans was given")
	}
	if pr := start.Check(); pr != nil {
		return Result{}, fmt.Errorf("check start plan: %w", pr)
	}
	opt = opt.withDefaults()
	s := newSession(ctx, start, run, opt)
	err := s.work()
	s.lab.close()
	return s.result(err)
}

// session is one call of Shrink.
type session struct {
	lab   *lab
	opt   Options
	began time.Time
	noise float64
	focus []model.Ref

	original *evidence
	flaky    bool
	stopped  halt        // why it could not be finished, "" = it was
	cap      int         // passes that put a candidate off on this level
	history  []*evidence // accepted plans, the start first
	accepts  int
	shortest *verified
	reliable *verified
	rolled   int
	spent    Spent
}

func newSession(ctx context.Context, start model.Plan, run Run, opt Options) *session {
	s := &session{lab: newLab(ctx, run, opt), opt: opt, began: opt.Clock(), noise: max(minNoise, opt.Noise)}
	p, names := canonical(start)
	for _, r := range opt.Focus {
		if to, ok := names[r]; ok {
			s.focus = append(s.focus, to)
		}
	}
	s.original = &evidence{plan: p, cost: CostOf(p, opt.Vocab)}
	s.history = []*evidence{s.original}
	return s
}

// maxRounds is how often shrinking goes on after a result that did not hold.
const maxRounds = 8

// work does everything that runs plans. Its error is one of the harness, which certifies nothing.
func (s *session) work() error {
	s.limit(0)
	if err := s.phase(&s.spent.Estimate, s.estimate); err != nil || s.stopped != "" || s.flaky {
		return err
	}
	for round := 0; ; round++ {
		s.limit(certificateShare)
		if err := s.phase(&s.spent.Reduce, func() error { return s.reduce(round > 0) }); err != nil {
			return err
		}
		s.limit(0)
		rolled := s.rolled
		if err := s.phase(&s.spent.Certify, s.verifyShortest); err != nil {
			return err
		}
		if s.rolled == rolled || s.stopped != "" || s.flaky || round == maxRounds {
			break
		}
	}
	if s.shortest == nil || s.flaky {
		return nil
	}
	return s.phase(&s.spent.Certify, s.findReliable)
}

// phase does part of the work and adds its executions to spent. A halt is kept in s.stopped; any
// other error is passed on.
func (s *session) phase(spent *int, part func() error) error {
	before := s.lab.executions
	err := part()
	*spent += s.lab.executions - before
	var h halt
	if !errors.As(err, &h) {
		return err
	}
	if s.stopped == "" {
		s.stopped = h
	}
	return nil
}

// limit sets the budgets, keeping back a share of them.
func (s *session) limit(keep float64) {
	if s.opt.MaxExecutions > 0 {
		reserve := min(float64(s.opt.CertRuns), keep*float64(s.opt.MaxExecutions))
		s.lab.maxRuns = max(1, s.opt.MaxExecutions-int(reserve))
	}
	if s.opt.Budget > 0 {
		s.lab.deadline = s.began.Add(time.Duration((1 - keep) * float64(s.opt.Budget)))
	}
}

// estimate measures the original's rate and sets up the test for its candidates.
func (s *session) estimate() error {
	err := s.rerun(enoughFailures, maxEstimate)
	s.lab.known[keyOf(s.original.plan)] = s.original
	if err != nil {
		return err
	}
	test, ok := newSPRT(estimate(s.original.fails, s.original.runs), s.noise)
	s.flaky = s.original.fails <= tooFew || !ok
	s.lab.test = test
	return nil
}

// refine measures the original's rate better, now that the cheap part is done. Four failures can
// make a rare failure look twice as frequent as it is, and a test made for that rate would then
// refuse plans that are as good as the original.
func (s *session) refine() error {
	if s.original.runs == s.original.fails {
		return nil
	}
	if err := s.rerun(refinedFailures, 2*maxEstimate); err != nil {
		return err
	}
	if test, ok := newSPRT(estimate(s.original.fails, s.original.runs), s.noise); ok {
		s.lab.test = test
	}
	return nil
}

// rerun runs the original until it has failed and run so many times in all.
func (s *session) rerun(failures, runs int) error {
	before := *s.original
	e, err := s.lab.repeat(before.plan, func(e *evidence) int {
		fails, ran := before.fails+e.fails, before.runs+e.runs
		switch {
		case fails >= failures, ran >= runs, before.inconclusive+e.inconclusive >= runs:
			return 0
		case ran == fails:
			return failures - fails // so far every run failed
		}
		return runs - ran
	})
	s.original.fails += e.fails
	s.original.runs += e.runs
	s.original.inconclusive += e.inconclusive
	if e.reached != nil {
		s.original.reached = e.reached
	}
	return err
}

// result puts together what is known; err is the harness error work ended with.
func (s *session) result(err error) (Result, error) {
	best := s.history[len(s.history)-1]
	res := Result{
		Flaky: s.flaky, OriginalRate: NewCertificate(s.original.fails, s.original.runs, true),
		Executions: s.lab.executions, Spent: s.spent, Inconclusive: s.lab.inconclusive,
		Accepted: s.accepts, RolledBack: s.rolled, Slips: s.lab.slips.list,
	}
	res.Shortest = Candidate{best.plan, NewCertificate(best.fails, best.runs, best == s.original)}
	if s.shortest != nil {
		res.Shortest = s.shortest.candidate()
	}
	res.Reliable = res.Shortest
	if s.reliable != nil {
		res.Reliable = s.reliable.candidate()
	}
	res.Interrupted, res.Stopped = s.stopped != "", string(s.stopped)
	if err != nil {
		res.Interrupted, res.Stopped = true, "harness broken"
		return res, fmt.Errorf("shrink: %w", err)
	}
	return res, nil
}
