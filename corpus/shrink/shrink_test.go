package shrink

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/model"
	"chaos/model/plantext"
)

// The hidden bug shows with different probabilities, with and without noise of the same signature:
// shrinking must end on the bug, and on its shortest plan, in at least 19 of 20 trials.
func TestShrink_FindsShortestPlanOfFlakyBug(t *testing.T) {
	t.Parallel()
	for _, noise := range []float64{0, 0.01} {
		for _, p := range []float64{1, 0.7, 0.3, 0.1} {
			t.Run(fmt.Sprintf("p=%v noise=%v", p, noise), func(t *testing.T) {
				t.Parallel()
				const trials = 20
				real, minimal, runs := 0, 0, make([]int, 0, trials)
				for seed := range uint64(trials) {
					f := newFake(seed, stopRace, p, noise)
					start := planWith(rand.New(rand.NewPCG(seed, 1)), 30, stopRace)
					res, err := Shrink(context.Background(), start, f.run, Options{Vocab: words{}})
					require.NoError(t, err)
					require.False(t, res.Interrupted)
					require.Equal(t, len(f.runs), res.Executions)
					runs = append(runs, res.Spent.Estimate+res.Spent.Reduce)
					if stopRace(res.Shortest.Plan) {
						real++
					}
					if c := CostOf(res.Shortest.Plan, words{}); c == (Cost{Steps: 4, Clients: 2, Spread: 1, Grouped: 2}) {
						minimal++
					}
				}
				slices.Sort(runs)
				t.Logf("real %d, minimal %d of %d; median %d executions", real, minimal, trials, runs[trials/2])
				require.GreaterOrEqual(t, real, 19)
				require.GreaterOrEqual(t, minimal, 19)
			})
		}
	}
}

func shrinkText(t *testing.T, holds bug, start string, opt Options) (Result, string) {
	t.Helper()
	p, err := plantext.Parse(start, nil)
	require.NoError(t, err)
	require.True(t, holds(p), "the start must hold the bug")
	opt.Vocab = words{}
	res, err := Shrink(context.Background(), p, newFake(1, holds, 1, 0).run, opt)
	require.NoError(t, err)
	return res, plantext.Print(res.Shortest.Plan)
}

func TestShrink_KeepsWhatTheBugNeeds(t *testing.T) {
	t.Parallel()
	start := `
c: b3 = create image=fedora
a: b7 = create image=debian
c: e9 = exec b3 stdout=12
together
  a: e4 = exec b7 sleep=20ms stdout=200 tty=yes
  d: stop b3 gap=4ms
  b: stop b7 after=b3 gap=8ms
c: list after=e4
a: e5 = exec b7 stdout=90
b: info e4
`
	for name, tc := range map[string]struct {
		holds bug
		want  string
	}{
		"a together block and a gap":   {lateStop, "a: b1 = create\ntogether\n  a: e1 = exec b1\n  b: stop b1 gap=2ms\n"},
		"an argument at its threshold": {bigOutput, "a: b1 = create\na: e1 = exec b1 stdout=37\n"},
		"two clients that race without a block": {func(p model.Plan) bool {
			for _, s := range p.Steps {
				for _, x := range p.Steps {
					if s.Action == "stop" && x.Action == "exec" && s.On == x.On && s.Client != x.Client {
						return true
					}
				}
			}
			return false
		}, "a: stop b1\nb: e1 = exec b1\n"},
		"a word that the action lists": {func(p model.Plan) bool {
			return slices.ContainsFunc(p.Steps, func(s model.Step) bool { return s.Action == "create" && s.Args.Has("image") })
		}, "a: b1 = create image=alpine\n"},
		"a wait": {func(p model.Plan) bool {
			return slices.ContainsFunc(p.Steps, func(s model.Step) bool { return s.After != "" && s.Action == "list" })
		}, "a: list after=b1\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, got := shrinkText(t, tc.holds, start, Options{})
			require.Equal(t, tc.want, got)
		})
	}
}

func TestShrink_CertifiesWithFreshRuns(t *testing.T) {
	t.Parallel()
	res, _ := shrinkText(t, bigOutput, "a: b1 = create\na: list\na: e1 = exec b1 stdout=99\n", Options{})
	require.Equal(t, NewCertificate(20, 20, true), res.Shortest.Certificate, "after 20 failures in a row the rest is saved")
	require.Equal(t, res.Shortest, res.Reliable)
	require.Equal(t, NewCertificate(4, 4, true), res.OriginalRate)
	require.Equal(t, res.Executions, res.Spent.Estimate+res.Spent.Reduce+res.Spent.Certify)
	require.Equal(t, 20, res.Spent.Certify)

	f := newFake(3, bigOutput, 0.5, 0)
	flaky, err := Shrink(context.Background(), res.Shortest.Plan, f.run, Options{CertRuns: 200})
	require.NoError(t, err)
	require.True(t, flaky.Shortest.Certificate.Fresh)
	require.Equal(t, 200, flaky.Shortest.Certificate.Runs)
	require.InDelta(t, 0.5, flaky.Shortest.Certificate.Rate(), 0.15)
}

func TestShrink_LeavesNoiseAlone(t *testing.T) {
	t.Parallel()
	never := func(model.Plan) bool { return false }
	flaky := 0
	for seed := range uint64(50) {
		f := newFake(seed, never, 0, 0.01)
		start := randomPlan(rand.New(rand.NewPCG(seed, 1)), 30)
		res, err := Shrink(context.Background(), start, f.run, Options{Vocab: words{}})
		require.NoError(t, err)
		if res.Flaky {
			flaky++
			require.Equal(t, keyOf(Canonical(start)), keyOf(res.Shortest.Plan))
		}
	}
	require.GreaterOrEqual(t, flaky, 45)

	// A rate that stands out from the default floor does not stand out from louder noise.
	start := randomPlan(rand.New(rand.NewPCG(1, 1)), 30)
	f := newFake(1, never, 0, 0.2)
	res, err := Shrink(context.Background(), start, f.run, Options{Vocab: words{}, Noise: 0.4})
	require.NoError(t, err)
	require.True(t, res.Flaky)
}

// An amplifier: the rate is high only with two more execs. The shortest plan fails rarely, so the
// reliable end must be another one.
func TestShrink_KeepsAReliableEndToo(t *testing.T) {
	t.Parallel()
	apart, trials := 0, 20
	for seed := range uint64(trials) {
		f := newFake(seed, stopRace, 0, 0.01)
		f.rate = func(p model.Plan) float64 {
			execs := 0
			for _, s := range p.Steps {
				if s.Action == "exec" {
					execs++
				}
			}
			return min(0.9, 0.05+0.12*float64(max(0, execs-2)))
		}
		start := planWith(rand.New(rand.NewPCG(seed, 1)), 40, func(p model.Plan) bool { return stopRace(p) && f.rate(p) > 0.6 })
		res, err := Shrink(context.Background(), start, f.run, Options{Vocab: words{}})
		require.NoError(t, err)
		require.True(t, stopRace(res.Reliable.Plan))
		require.False(t, CostOf(res.Reliable.Plan, words{}).Less(CostOf(res.Shortest.Plan, words{})))
		if keyOf(res.Reliable.Plan) != keyOf(res.Shortest.Plan) {
			apart++
			require.GreaterOrEqual(t, res.Reliable.Certificate.Rate(), 0.3)
			require.Less(t, res.Shortest.Certificate.Rate(), 0.3)
			require.True(t, res.Reliable.Certificate.Fresh)
		}
	}
	t.Logf("two ends in %d of %d", apart, trials)
	require.NotZero(t, apart)
}

func TestShrink_RefusesPlansThatAreNone(t *testing.T) {
	t.Parallel()
	f := newFake(1, bigOutput, 1, 0)
	_, err := Shrink(context.Background(), model.Plan{Steps: []model.Step{{Client: "A", Action: "list"}}}, f.run, Options{})
	require.ErrorContains(t, err, "check start plan: step 1")
	_, err = Shrink(context.Background(), model.Plan{}, nil, Options{})
	require.ErrorContains(t, err, "no way to run plans")
	require.Empty(t, f.runs)
}
