package shrink

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/model"
)

func startPlan(seed uint64, holds bug) model.Plan {
	return planWith(rand.New(rand.NewPCG(seed, 1)), 35, holds)
}

func TestShrink_ResultIsLastAccepted(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		f := newFake(seed, stopRace, 1, 0)
		var seen []Progress
		res, err := Shrink(context.Background(), startPlan(seed, stopRace), f.run, Options{
			Vocab: words{}, OnBetter: func(p Progress) { seen = append(seen, p) }})
		require.NoError(t, err)
		require.Zero(t, res.RolledBack)
		require.Len(t, seen, res.Accepted)
		require.Equal(t, seen[len(seen)-1].Plan, res.Shortest.Plan)
		for i, p := range seen {
			require.NotEmpty(t, p.Pass)
			require.Positive(t, p.Certificate.Failures)
			require.False(t, p.Certificate.Fresh)
			if i > 0 {
				require.True(t, CostOf(p.Plan, words{}).Less(CostOf(seen[i-1].Plan, words{})), "each must be simpler than the one before")
				require.Greater(t, p.Executions, seen[i-1].Executions)
			}
		}
	}
}

// Every run must be of a plan whose verdict is still open at that moment.
func TestShrink_NeverRunsBeyondTheVerdict(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		f := newFake(seed, stopRace, 0.6, 0.01)
		var s *session
		checked := 0
		s = newSession(context.Background(), startPlan(seed, stopRace), func(ctx context.Context, p model.Plan) (Outcome, error) {
			// With one run at a time the shrinker rests while this runs, so its state may be read.
			key := keyOf(p)
			if e := s.lab.known[key]; e != nil && e.inflight == 1 && e != s.original {
				checked++
				if s.lab.decide(e, s.cap) != undecided {
					return Outcome{}, errors.New("the verdict was certain already")
				}
			}
			return f.run(ctx, p)
		}, Options{Vocab: words{}}.withDefaults())
		err := s.work()
		s.lab.close()
		require.NoError(t, err)
		require.Positive(t, checked)
	}
}

// Several runs of one candidate at once must not be more than its decision takes either.
func TestLab_ParallelRunsAreNeverWasted(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		f := newFake(seed, stopRace, 0.3, 0)
		l := newLab(context.Background(), f.run, Options{Parallel: 8}.withDefaults())
		l.test, _ = newSPRT(0.3, 0.02)
		e := l.of(Canonical(startPlan(seed, stopRace)), Cost{})
		handed := false
		_, err := l.first(func() (*evidence, bool) {
			if handed {
				return nil, false
			}
			handed = true
			return e, true
		}, l.test.patience)
		require.NoError(t, err)
		require.Zero(t, l.flying, "runs were still under way when the verdict was certain")
		require.Equal(t, e.runs, l.executions)
		l.close()
	}
}

func TestShrink_ParallelFindsTheSamePlan(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		start := startPlan(seed, stopRace)
		var plans []model.Plan
		for _, parallel := range []int{1, 2, 8} {
			f := newFake(seed, stopRace, 1, 0)
			res, err := Shrink(context.Background(), start, f.run, Options{Vocab: words{}, Parallel: parallel})
			require.NoError(t, err)
			require.Equal(t, len(f.runs), res.Executions)
			plans = append(plans, res.Shortest.Plan)
		}
		require.Equal(t, plans[0], plans[1])
		require.Equal(t, plans[0], plans[2])
	}
}

func TestShrink_RunsAtOnceUpToTheLimit(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	now, most := 0, 0
	f := newFake(1, stopRace, 0.5, 0)
	full := make(chan struct{})
	_, err := Shrink(context.Background(), startPlan(1, stopRace), func(ctx context.Context, p model.Plan) (Outcome, error) {
		mu.Lock()
		now++
		if now > most {
			if most = now; most == 3 {
				close(full)
			}
		}
		mu.Unlock()
		if len(p.Steps) > 30 {
			<-full // the first runs wait for each other, so all three slots are seen in use
		}
		out, err := f.run(ctx, p)
		mu.Lock()
		now--
		mu.Unlock()
		return out, err
	}, Options{Vocab: words{}, Parallel: 3})
	require.NoError(t, err)
	require.Equal(t, 3, most)
}

func TestShrink_CancelKeepsTheBestSoFar(t *testing.T) {
	t.Parallel()
	for _, after := range []int{1, 3, 10, 40, 60} {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		f := newFake(1, stopRace, 1, 0)
		start := startPlan(1, stopRace)
		best := Canonical(start)
		res, err := Shrink(ctx, start, func(ctx context.Context, p model.Plan) (Outcome, error) {
			if len(f.runs) >= after {
				cancel()
				<-ctx.Done()
				return Outcome{}, ctx.Err()
			}
			return f.run(ctx, p)
		}, Options{Vocab: words{}, OnBetter: func(p Progress) { best = p.Plan }})
		require.NoError(t, err, "being interrupted is not an error")
		require.True(t, res.Interrupted)
		require.Equal(t, "cancelled", res.Stopped)
		require.Equal(t, best, res.Shortest.Plan)
		require.True(t, stopRace(res.Shortest.Plan))
		require.False(t, res.Flaky)
		require.Positive(t, res.Shortest.Certificate.Runs)
		if len(res.Shortest.Plan.Steps) < len(start.Steps) {
			require.False(t, res.Shortest.Certificate.Fresh)
		}
	}
}

func TestShrink_BrokenHarnessKeepsTheBestSoFar(t *testing.T) {
	t.Parallel()
	broken := errors.New("the stack is gone")
	for _, parallel := range []int{1, 4} {
		f := newFake(1, stopRace, 1, 0)
		start := startPlan(1, stopRace)
		var mu sync.Mutex
		left := 40
		var best model.Plan
		res, err := Shrink(context.Background(), start, func(ctx context.Context, p model.Plan) (Outcome, error) {
			mu.Lock()
			left--
			gone := left < 0
			mu.Unlock()
			if gone {
				return Outcome{}, broken
			}
			return f.run(ctx, p)
		}, Options{Vocab: words{}, Parallel: parallel, OnBetter: func(p Progress) { best = p.Plan }})
		require.ErrorIs(t, err, broken)
		require.True(t, res.Interrupted)
		require.NotNil(t, best.Steps)
		require.Equal(t, best, res.Shortest.Plan)
		require.False(t, res.Shortest.Certificate.Fresh)
	}
}

func TestShrink_RespectsExecutionBudget(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{1, 5, 50, 60, 200} {
		f := newFake(2, stopRace, 0.4, 0)
		res, err := Shrink(context.Background(), startPlan(2, stopRace), f.run, Options{Vocab: words{}, MaxExecutions: limit})
		require.NoError(t, err)
		require.LessOrEqual(t, len(f.runs), limit)
		require.True(t, res.Interrupted)
		require.Equal(t, string(noRuns), res.Stopped)
		if limit >= 50 {
			require.True(t, res.Shortest.Certificate.Fresh, "part of the budget is kept for the certificate")
		}
	}
}

func TestShrink_RespectsTimeBudget(t *testing.T) {
	t.Parallel()
	f := newFake(2, stopRace, 0.4, 0)
	now := time.Unix(0, 0)
	res, err := Shrink(context.Background(), startPlan(2, stopRace), func(ctx context.Context, p model.Plan) (Outcome, error) {
		now = now.Add(time.Second) // one run at a time, so this is not concurrent with Clock
		return f.run(ctx, p)
	}, Options{Vocab: words{}, Budget: 100 * time.Second, Clock: func() time.Time { return now }})
	require.NoError(t, err)
	require.Len(t, f.runs, 100)
	require.Equal(t, string(noTime), res.Stopped)
	require.True(t, res.Shortest.Certificate.Fresh)
	require.Equal(t, res.Executions, res.Spent.Estimate+res.Spent.Reduce+res.Spent.Certify)
}

// A plan that was chosen by luck is given up again: the system mends itself once the search is over.
func TestShrink_RollsBackWhatDoesNotHold(t *testing.T) {
	t.Parallel()
	start := startPlan(3, stopRace)
	held := 12
	f := newFake(3, func(p model.Plan) bool { return true }, 1, 0)
	fresh := false
	f.rate = func(p model.Plan) float64 {
		if fresh && len(p.Steps) < held {
			return 0
		}
		if stopRace(p) {
			return 1
		}
		return 0
	}
	s := newSession(context.Background(), start, f.run, Options{Vocab: words{}}.withDefaults())
	defer s.lab.close()
	require.NoError(t, s.estimate())
	require.NoError(t, s.reduce(false))
	require.Less(t, len(s.current().plan.Steps), held)
	fresh = true
	require.NoError(t, s.verifyShortest())
	require.Positive(t, s.rolled)
	require.GreaterOrEqual(t, len(s.current().plan.Steps), held)
	require.Equal(t, NewCertificate(20, 20, true), s.shortest.candidate().Certificate)
	// What was given up must not come back when the search goes on.
	require.NoError(t, s.reduce(true))
	res, err := s.result(nil)
	require.NoError(t, err)
	require.Positive(t, res.RolledBack)
	for _, e := range s.history {
		require.False(t, e.banned)
	}
}

func TestShrink_OriginalThatStopsFailingIsFlaky(t *testing.T) {
	t.Parallel()
	f := newFake(3, stopRace, 1, 0)
	f.rate = func(model.Plan) float64 {
		if len(f.runs) < 4 {
			return 1
		}
		return 0
	}
	start := startPlan(3, stopRace)
	res, err := Shrink(context.Background(), start, f.run, Options{Vocab: words{}})
	require.NoError(t, err)
	require.True(t, res.Flaky)
	require.Equal(t, Canonical(start), res.Shortest.Plan)
	require.Zero(t, res.Shortest.Certificate.Failures)
}
