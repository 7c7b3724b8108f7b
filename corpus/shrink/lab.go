package shrink

import (
	"context"
	"fmt"
	"time"

	"chaos/model"
)

// evidence is what was seen of one plan.
type evidence struct {
	plan         model.Plan // canonical
	cost         Cost
	fails, runs  int // conclusive runs
	inconclusive int
	inflight     int
	reached      []bool // steps that some failing run performed, nil = not known
	banned       bool   // did not hold when it was run afresh
}

// hopeless reports that runs of the plan can mostly not be judged.
func (e *evidence) hopeless() bool { return e.inconclusive > 4+2*e.runs }

func (e *evidence) record(out Outcome) {
	switch {
	case out.Failed:
		e.fails++
		e.runs++
		if len(out.Reached) == len(e.plan.Steps) {
			if e.reached == nil {
				e.reached = make([]bool, len(out.Reached))
			}
			for i, r := range out.Reached {
				e.reached[i] = e.reached[i] || r
			}
		}
	case out.Inconclusive:
		e.inconclusive++
	default:
		e.runs++
	}
}

// halt is why no more runs may be started.
type halt string

func (h halt) Error() string { return "shrinking stopped: " + string(h) }

const (
	cancelled halt = "cancelled"
	noTime    halt = "time budget spent"
	noRuns    halt = "execution budget spent"
)

type result struct {
	e   *evidence
	out Outcome
	err error
}

// lab runs plans, several at once, and keeps the evidence. One goroutine calls its methods; only
// the runs themselves are concurrent.
type lab struct {
	ctx     context.Context
	cancel  context.CancelFunc
	run     Run
	opt     Options
	test    sprt
	known   map[string]*evidence
	results chan result
	flying  int

	executions   int
	inconclusive int
	maxRuns      int       // executions allowed so far, 0 = no limit
	deadline     time.Time // no run starts after it, zero = no limit
	slips        slips
}

func newLab(ctx context.Context, run Run, opt Options) *lab {
	ctx, cancel := context.WithCancel(ctx)
	return &lab{ctx: ctx, cancel: cancel, run: run, opt: opt,
		known: map[string]*evidence{}, results: make(chan result, opt.Parallel), slips: newSlips(opt.OnSlip)}
}

// of returns the evidence of a canonical plan.
func (l *lab) of(p model.Plan, c Cost) *evidence {
	k := keyOf(p)
	e, ok := l.known[k]
	if !ok {
		e = &evidence{plan: p, cost: c}
		l.known[k] = e
	}
	return e
}

// barred returns why no run may be started now, or nil.
func (l *lab) barred() error {
	switch {
	case l.ctx.Err() != nil:
		return cancelled
	case l.maxRuns > 0 && l.executions >= l.maxRuns:
		return noRuns
	case !l.deadline.IsZero() && !l.opt.Clock().Before(l.deadline):
		return noTime
	}
	return nil
}

// launch starts one run of e's plan.
func (l *lab) launch(e *evidence) {
	e.inflight++
	l.flying++
	l.executions++
	p := e.plan.Clone()
	go func() {
		out, err := l.run(l.ctx, p)
		l.results <- result{e, out, err}
	}()
}

// wait takes in one result. It returns at once when the context ends.
func (l *lab) wait() error {
	select {
	case r := <-l.results:
		return l.take(r)
	case <-l.ctx.Done():
		return cancelled
	}
}

func (l *lab) take(r result) error {
	r.e.inflight--
	l.flying--
	if r.err != nil {
		if l.ctx.Err() != nil {
			return cancelled // the run was broken off, which says nothing of the harness
		}
		return fmt.Errorf("run plan: %w", r.err)
	}
	r.e.record(r.out)
	if r.out.Inconclusive && !r.out.Failed {
		l.inconclusive++
	}
	l.slips.add(r.out.Slips, r.e)
	return nil
}

// close ends what still runs and waits for it.
func (l *lab) close() {
	l.cancel()
	for l.flying > 0 {
		_ = l.take(<-l.results) // nothing is decided any more
	}
}

// decide judges e on a level that puts off after limit passes.
func (l *lab) decide(e *evidence, limit int) decision {
	if e.banned {
		return refused
	}
	if d := l.test.decide(e.fails, e.runs, limit); d != undecided {
		return d
	}
	if e.hopeless() {
		return refused
	}
	return undecided
}

// lookahead is how many candidates are tested ahead of the first undecided one, per parallel run.
const lookahead = 2

// first tests candidates in the order next hands them out until one is accepted, and returns its
// index, or -1 when all are refused. Candidates behind the first undecided one are run only on
// slots that would stand idle, so the order of acceptance never depends on which run ends first.
func (l *lab) first(next func() (*evidence, bool), limit int) (int, error) {
	var window []*evidence
	index, more := 0, true
	for {
		for {
			for more && len(window) < 1+lookahead*(l.opt.Parallel-1) {
				var e *evidence
				if e, more = next(); more {
					window = append(window, e)
				}
			}
			if len(window) == 0 {
				return -1, nil
			}
			d := l.decide(window[0], limit)
			if d == accepted {
				return index, nil
			}
			if d == undecided {
				break
			}
			window = window[1:]
			index++
		}
		if err := l.fill(window, limit); err != nil {
			return -1, err
		}
		if err := l.wait(); err != nil {
			return -1, err
		}
	}
}

// fill starts runs of the candidates in window, never more of one than its decision needs at least.
// It returns an error when no run may be started and none is under way.
func (l *lab) fill(window []*evidence, limit int) error {
	for _, e := range window {
		d := l.decide(e, limit)
		if d == accepted {
			break // what stands behind it would only matter if it were refused
		}
		if d == refused {
			continue
		}
		for need := l.test.need(e.fails, e.runs, limit); l.flying < l.opt.Parallel && e.inflight < need; {
			if err := l.barred(); err != nil {
				if l.flying > 0 {
					return nil
				}
				return err
			}
			l.launch(e)
		}
	}
	return nil
}

// repeat runs p afresh until more returns 0; more says how many further runs are surely wanted. The
// evidence is returned with an error too.
func (l *lab) repeat(p model.Plan, more func(*evidence) int) (*evidence, error) {
	e := &evidence{plan: p, cost: CostOf(p, l.opt.Vocab)}
	for {
		want := more(e)
		if want <= 0 {
			return e, nil
		}
		for l.flying < l.opt.Parallel && e.inflight < want {
			if err := l.barred(); err != nil {
				if e.inflight == 0 {
					return e, err
				}
				break
			}
			l.launch(e)
		}
		if err := l.wait(); err != nil {
			return e, err
		}
	}
}

// slips collects violations that are not the wanted one.
type slips struct {
	index map[model.Signature]int
	list  []Slip
	tell  func(model.Violation, model.Plan)
}

func newSlips(tell func(model.Violation, model.Plan)) slips {
	return slips{index: map[model.Signature]int{}, tell: tell}
}

func (s *slips) add(found []model.Violation, e *evidence) {
	for _, v := range found {
		i, known := s.index[v.Signature]
		if !known {
			s.index[v.Signature] = len(s.list)
			s.list = append(s.list, Slip{Violation: v, Plan: e.plan, Times: 1, cost: e.cost})
			if s.tell != nil {
				s.tell(v, e.plan.Clone())
			}
			continue
		}
		have := &s.list[i]
		have.Times++
		if e.cost.Less(have.cost) {
			have.Violation, have.Plan, have.cost = v, e.plan, e.cost
		}
	}
}
