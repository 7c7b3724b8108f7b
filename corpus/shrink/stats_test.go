package shrink

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestInterval_KnownValues(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		k, n      int
		low, high float64
	}{
		{0, 0, 0, 1},
		{0, 10, 0, 0.3085},
		{10, 10, 0.6915, 1},
		{5, 10, 0.1871, 0.8129},
		{41, 60, 0.5503, 0.7974},
		{1, 300, 0.0001, 0.0184},
	} {
		low, high := Interval(tc.k, tc.n)
		require.InDelta(t, tc.low, low, 5e-4, "%d of %d", tc.k, tc.n)
		require.InDelta(t, tc.high, high, 5e-4, "%d of %d", tc.k, tc.n)
	}
	require.Panics(t, func() { Interval(3, 2) })
	require.Panics(t, func() { Interval(-1, 2) })
}

// The interval must hold the true rate in 95 % of cases, the way certificates are made: a fixed
// number of runs, or 20 when all of those fail.
func TestInterval_CoversTheTrueRate(t *testing.T) {
	t.Parallel()
	const trials = 500
	rng := rand.New(rand.NewPCG(1, 2))
	for _, p := range []float64{0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 1} {
		covered := 0
		for range trials {
			k, n := 0, 0
			for n < 60 && (n != allFailed || k < n) {
				n++
				if rng.Float64() < p {
					k++
				}
			}
			if low, high := Interval(k, n); low <= p && p <= high {
				covered++
			}
		}
		require.GreaterOrEqual(t, covered, trials*93/100, "rate %v", p)
	}
}

func TestCertificate_String(t *testing.T) {
	t.Parallel()
	require.Equal(t, "fails 41 of 60 fresh runs (95 %: 55–80 %)", NewCertificate(41, 60, true).String())
	require.Equal(t, "fails 4 of 4 search runs (95 %: 40–100 %)", NewCertificate(4, 4, false).String())
	require.Equal(t, "fails 2 of 60 fresh runs (95 %: 0.4–12 %)", NewCertificate(2, 60, true).String())
	require.Equal(t, "fails 0 of 60 fresh runs (95 %: 0–6.0 %)", NewCertificate(0, 60, true).String())
	require.Zero(t, Certificate{}.Rate())
}

func TestSPRT_KeepsItsErrorRates(t *testing.T) {
	t.Parallel()
	const trials = 2000
	for _, r := range []float64{1, 0.7, 0.3, 0.1} {
		test, ok := newSPRT(r, minNoise)
		require.True(t, ok)
		wrong := func(seed uint64, rate float64, bad decision) int {
			rng := rand.New(rand.NewPCG(seed, 3))
			n := 0
			for range trials {
				k, runs := 0, 0
				for test.decide(k, runs, test.patience) == undecided {
					runs++
					if rng.Float64() < rate {
						k++
					}
				}
				if test.decide(k, runs, test.patience) == bad {
					n++
				}
			}
			return n
		}
		require.LessOrEqual(t, wrong(1, minNoise, accepted), trials*15/1000, "noise kept at r=%v", r)
		require.LessOrEqual(t, wrong(2, r, refused), trials*2/100, "the original refused at r=%v", r)
		require.LessOrEqual(t, wrong(3, max(r/2, 2*minNoise), refused), trials*7/100, "half the original's rate refused at r=%v", r)
	}
}

func TestSPRT_NeedIsTheLeastThatDecides(t *testing.T) {
	t.Parallel()
	for _, r := range []float64{1, 0.5, 0.2, 0.06} {
		test, ok := newSPRT(r, minNoise)
		require.True(t, ok)
		caps := test.caps()
		require.Equal(t, test.patience, caps[len(caps)-1])
		for i, limit := range caps {
			if i > 0 {
				require.Greater(t, limit, caps[i-1])
			}
			require.Equal(t, limit, firstDecision(test, limit), "passes alone are put off at the level's limit")
			for runs := range 30 {
				for k := 0; k <= runs; k++ {
					need := test.need(k, runs, limit)
					require.Equal(t, test.decide(k, runs, limit) != undecided, need == 0)
					for n := range need { // no way of ending fewer runs decides
						for f := 0; f <= n; f++ {
							require.Equal(t, undecided, test.decide(k+f, runs+n, limit), fmt.Sprint(r, limit, k, runs, n, f))
						}
					}
				}
			}
		}
	}
}

func firstDecision(test sprt, limit int) int {
	for n := 0; ; n++ {
		if test.decide(0, n, limit) == refused {
			return n
		}
	}
}

func TestSPRT_TooCloseToNoise(t *testing.T) {
	t.Parallel()
	_, ok := newSPRT(0.03, 0.02)
	require.False(t, ok)
	_, ok = newSPRT(0.9, 0.97)
	require.False(t, ok)
	test, ok := newSPRT(0.05, 0.02)
	require.True(t, ok)
	require.Positive(t, test.fail)
	require.Positive(t, test.pass)
}
