package corpus

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/corpus/shrink"
	"chaos/model"
)

func TestRunsNeeded(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		low, miss float64
		want      int
	}{
		{1, 0.01, 1}, {0.999, 0.01, 1}, {0.9, 0.01, 2}, {0.99, 0.01, 1}, {0.83, 0.01, 3}, {0.5, 0.01, 7}, {0.55, 0.01, 6},
		{0.1, 0.01, 44}, {0.1, 0.5, 7}, {0.01, 0.01, MaxRuns}, {0, 0.01, MaxRuns}, {0.5, 0, 7}, {0.5, 1, 7},
	} {
		require.Equal(t, tc.want, RunsNeeded(tc.low, tc.miss), "%v %v", tc.low, tc.miss)
	}
	for low := 0.02; low < 1; low += 0.01 {
		n := RunsNeeded(low, DefaultMiss)
		require.LessOrEqual(t, math.Pow(1-low, float64(n)), DefaultMiss+1e-9)
		if n > 1 {
			require.Greater(t, math.Pow(1-low, float64(n-1)), DefaultMiss)
		}
	}
}

// script hands out outcomes in order, then the last one for ever.
type script struct {
	mu   sync.Mutex
	outs []shrink.Outcome
	ran  int
}

func (s *script) run(context.Context, model.Plan) (shrink.Outcome, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.outs[min(s.ran, len(s.outs)-1)]
	s.ran++
	return out, nil
}

var (
	fails   = shrink.Outcome{Failed: true}
	passes  = shrink.Outcome{}
	unclear = shrink.Outcome{Inconclusive: true}
	slips   = shrink.Outcome{Slips: []model.Violation{{Signature: model.Signature{Invariant: "no-5xx", Action: "stop", Detail: "500"}}}}
)

func TestReplay_Verdicts(t *testing.T) {
	t.Parallel()
	often, always, never := sample("x", 2, 41, 60), sample("x", 2, 20, 20), sample("x", 2, 0, 0)
	never.Certificate = shrink.Certificate{}
	reached := func(a, b bool) shrink.Outcome { return shrink.Outcome{Reached: []bool{a, b}} }
	for name, tc := range map[string]struct {
		c           *Case
		outs        []shrink.Outcome
		want        Verdict
		ran         int
		detail      string
		judged, bad int
	}{
		"never fails again":                    {often, []shrink.Outcome{passes}, Fixed, 6, "0 of 6 runs failed; with its old rate that happens in at most 0.83 % of replays", 6, 0},
		"the first failure is enough":          {often, []shrink.Outcome{passes, passes, fails}, Failed, 3, "fails 1 of 3 runs", 3, 1},
		"always failed, and does":              {always, []shrink.Outcome{fails}, Failed, 1, "fails 1 of 1 runs", 1, 1},
		"always failed, now passes":            {always, []shrink.Outcome{passes}, Fixed, 3, "0 of 3 runs failed", 3, 0},
		"always failed, now seldom":            {always, []shrink.Outcome{passes, passes, fails, passes}, Flaky, 7, "fails 1 of 7 runs; it used to fail 20 of 20", 7, 1},
		"always failed, and mostly does":       {always, []shrink.Outcome{passes, passes, fails}, Failed, 7, "fails 5 of 7 runs", 7, 5},
		"fails differently":                    {often, []shrink.Outcome{passes, slips, passes}, Failed, 6, "fails differently: no-5xx · stop · - · 500 (1 of 6 runs)", 6, 0},
		"fails differently, then as before":    {often, []shrink.Outcome{slips, fails}, Failed, 2, "fails 1 of 2 runs", 2, 1},
		"nothing can be judged":                {often, []shrink.Outcome{unclear}, Errored, 7, "only 0 of 6 runs could be judged, 7 could not", 0, 0},
		"some runs cannot be judged":           {often, []shrink.Outcome{unclear, passes, unclear, passes}, Fixed, 8, "0 of 6 runs failed", 6, 0},
		"too few runs can be judged":           {often, []shrink.Outcome{passes, passes, unclear}, Errored, 9, "only 2 of 6 runs could be judged, 7 could not", 2, 0},
		"a step is never reached":              {often, []shrink.Outcome{reached(true, false)}, Stale, 6, "step 2 (list) was never reached in 6 runs", 6, 0},
		"every step is reached at some time":   {often, []shrink.Outcome{reached(true, false), reached(false, true)}, Fixed, 6, "0 of 6 runs failed", 6, 0},
		"it fails before the unreached step":   {often, []shrink.Outcome{{Failed: true, Reached: []bool{true, false}}}, Failed, 1, "fails 1 of 1 runs", 1, 1},
		"without a certificate it runs longer": {never, []shrink.Outcome{passes}, Fixed, MaxRuns, "0 of 300 runs failed; a rate above 1.2 % is ruled out (97.5 %), the case was never certified", MaxRuns, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &script{outs: tc.outs}
			rep := Replay(context.Background(), tc.c, s.run, ReplayOptions{})
			require.Equal(t, tc.want, rep.Verdict, rep.Detail)
			require.Contains(t, rep.Detail, tc.detail)
			require.Equal(t, tc.ran, s.ran, "executions")
			require.Equal(t, tc.judged, rep.Runs)
			require.Equal(t, tc.bad, rep.Failures)
			require.Equal(t, tc.want == Fixed, rep.Verdict.Green())
			if tc.want != Fixed {
				require.InDelta(t, 1, rep.Miss, 0)
			}
			require.Contains(t, rep.String(), string(tc.want))
		})
	}
}

func TestReplay_StalePlans(t *testing.T) {
	t.Parallel()
	run := func(context.Context, model.Plan) (shrink.Outcome, error) {
		t.Error("a stale plan must not run")
		return shrink.Outcome{}, nil
	}
	gone := sample("x", 2, 1, 2)
	rep := Replay(context.Background(), gone, run, ReplayOptions{Vocab: oneAction{}})
	require.Equal(t, Stale, rep.Verdict)
	require.Contains(t, rep.Detail, `step 1: no action is called "list" any more`)
	rep = Replay(context.Background(), sample("x", 0, 1, 2), run, ReplayOptions{})
	require.Equal(t, Stale, rep.Verdict)
	bad := sample("x", 1, 1, 2)
	bad.Plan.Steps[0].Client = "boss"
	require.Equal(t, Stale, Replay(context.Background(), bad, run, ReplayOptions{}).Verdict)
	require.Equal(t, Stale, StaleReport("x", errors.New("x.case:3:1: …")).Verdict)
}

func TestReplay_HarnessAndCancel(t *testing.T) {
	t.Parallel()
	broken := errors.New("the stack is gone")
	c := sample("x", 2, 41, 60)
	for _, parallel := range []int{1, 4} {
		var mu sync.Mutex
		n := 0
		rep := Replay(context.Background(), c, func(context.Context, model.Plan) (shrink.Outcome, error) {
			mu.Lock()
			defer mu.Unlock()
			if n++; n > 2 {
				return shrink.Outcome{}, broken
			}
			return passes, nil
		}, ReplayOptions{Parallel: parallel})
		require.Equal(t, Errored, rep.Verdict)
		require.Contains(t, rep.Detail, "the stack is gone")

		ctx, cancel := context.WithCancel(context.Background())
		rep = Replay(ctx, c, func(ctx context.Context, _ model.Plan) (shrink.Outcome, error) {
			cancel()
			<-ctx.Done()
			return shrink.Outcome{}, ctx.Err()
		}, ReplayOptions{Parallel: parallel})
		require.Equal(t, Errored, rep.Verdict)
		require.Contains(t, rep.Detail, "ended after 0 of 6 runs: context canceled")

		rep = Replay(ctx, c, func(context.Context, model.Plan) (shrink.Outcome, error) {
			t.Error("nothing may start once the context has ended")
			return passes, nil
		}, ReplayOptions{Parallel: parallel})
		require.Equal(t, Errored, rep.Verdict)
	}
}

// A failure ends the replay; runs beside it are broken off, not waited for.
func TestReplay_ParallelStopsAtTheFirstFailure(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	ran := 0
	all := make(chan struct{})
	rep := Replay(context.Background(), sample("x", 2, 41, 60), func(ctx context.Context, _ model.Plan) (shrink.Outcome, error) {
		mu.Lock()
		ran++
		me := ran
		if ran == 3 {
			close(all)
		}
		mu.Unlock()
		<-all
		if me == 2 {
			return fails, nil
		}
		<-ctx.Done()
		return shrink.Outcome{}, ctx.Err()
	}, ReplayOptions{Parallel: 3})
	require.Equal(t, Failed, rep.Verdict)
	require.Equal(t, 3, ran, "three at once and none after the failure")
}

// With the certified rate, a bug that is still there is called fixed in at most 1 % of replays.
func TestReplay_SeldomMissesABugThatIsThere(t *testing.T) {
	t.Parallel()
	const trials = 1000
	rng := rand.New(rand.NewPCG(1, 1))
	for _, p := range []float64{0.1, 0.5, 0.9} {
		missed := 0
		for range trials {
			c := sample("x", 2, 0, 1)
			c.Certificate = shrink.NewCertificate(int(math.Round(60*p)), 60, true)
			rep := Replay(context.Background(), c, func(context.Context, model.Plan) (shrink.Outcome, error) {
				return shrink.Outcome{Failed: rng.Float64() < p}, nil
			}, ReplayOptions{})
			if rep.Verdict == Fixed {
				missed++
			}
		}
		require.LessOrEqual(t, missed, trials/100, "rate %v", p)
	}
}

func TestTwoSided(t *testing.T) {
	t.Parallel()
	report := func(v Verdict, failures, runs int, rate float64) Report {
		return Report{Verdict: v, Failures: failures, Runs: runs, Rate: rate, Detail: "as told"}
	}
	failed, fixed := report(Failed, 1, 2, 0.55), report(Fixed, 0, 6, 0.55)
	for name, tc := range map[string]struct {
		base, candidate Report
		want            Proof
		reason          string
	}{
		"base fails, candidate passes":    {failed, fixed, ProofPass, "the base fails 1 of 2 runs, the candidate 0 of 6; a candidate with the bug would pass in at most 0.83 % of cases"},
		"both pass":                       {fixed, fixed, ProofIndeterminate, "both passed, base in 6 runs and candidate in 6: the case does not show the bug here"},
		"both fail":                       {failed, failed, ProofFail, "the candidate fails: as told"},
		"candidate is flaky":              {failed, report(Flaky, 1, 9, 0.83), ProofFail, "the candidate fails"},
		"only the candidate fails":        {fixed, failed, ProofFail, "the candidate fails"},
		"candidate cannot be judged":      {failed, report(Errored, 0, 0, 0.5), ProofIndeterminate, "the candidate could not be judged (ERROR)"},
		"base cannot be judged":           {report(Stale, 0, 0, 0.5), fixed, ProofIndeterminate, "the base could not be judged (STALE)"},
		"base fails in another way":       {report(Failed, 0, 6, 0.55), fixed, ProofIndeterminate, "the base does not fail in the way of the case"},
		"base fails less than certified":  {report(Flaky, 1, 10, 0.83), report(Fixed, 0, 3, 0.83), ProofIndeterminate, "the case fails too seldom here for 300 runs to prove anything"},
		"candidate ran too seldom":        {failed, report(Fixed, 0, 2, 0.55), ProofIndeterminate, "would pass in up to 20 % of cases; it needs 4 runs"},
		"the case was never certified":    {report(Failed, 1, 1, 0), report(Fixed, 0, 300, 0), ProofIndeterminate, "would pass in up to 100 % of cases; the case fails too seldom"},
		"base is flaky, candidate passes": {report(Flaky, 4, 10, 0.6), report(Fixed, 0, 10, 0.6), ProofPass, "at most"},
	} {
		got, reason := TwoSided(tc.base, tc.candidate)
		require.Equal(t, tc.want, got, name+": "+reason)
		require.Contains(t, reason, tc.reason, name)
	}
}
