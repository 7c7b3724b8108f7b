package campaign

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func found(seed int64, after time.Duration, steps int) Trial {
	return Trial{Bug: "bug", Seed: seed, Found: true, Signature: "s", After: after, Before: 10 * steps, Steps: steps, Executions: 100 * steps,
		Failures: 6, Runs: 10, Buggy: "FAILED", Clean: "FIXED"}
}

func TestSumUp(t *testing.T) {
	flaky := found(3, time.Second, 2)
	flaky.Buggy, flaky.Signature = "FLAKY", "r"
	missed := Trial{Bug: "bug", Seed: 4, Plans: 500}
	r := SumUp("bug", "#1", []Trial{found(1, 5*time.Second, 4), found(2, 3*time.Second, 3), flaky, missed, found(5, 9*time.Second, 9)})
	require.Equal(t, Row{
		Bug: "bug", Reference: "#1", Signature: "s", Trials: 5, Found: 4,
		MedianAfter: 3 * time.Second, WorstAfter: 9 * time.Second,
		Before: 30, Steps: 3, BestSteps: 2, Executions: 300, Failures: 24, Runs: 40, Buggy: 4, Clean: 4,
	}, r)
}

func TestSumUp_TheSignatureOfATieIsAlwaysTheSame(t *testing.T) {
	a, b := found(1, time.Second, 3), found(2, time.Second, 3)
	a.Signature, b.Signature = "x", "y"
	for range 20 {
		require.Equal(t, "x", SumUp("bug", "#1", []Trial{b, a}).Signature)
	}
}

func TestSumUp_NothingFound(t *testing.T) {
	require.Equal(t, Row{Bug: "bug", Reference: "#1", Trials: 2, Errors: []string{"no stack"}},
		SumUp("bug", "#1", []Trial{{Bug: "bug"}, {Bug: "bug", Error: "no stack"}}))
	require.Equal(t, Row{Bug: "bug", Reference: "#1"}, SumUp("bug", "#1", nil))
}

func TestRow_Short(t *testing.T) {
	good := Row{Trials: 10, Found: 9, Steps: 6, Known: 6, Buggy: 9, Clean: 9}
	require.Empty(t, good.Short())
	for want, change := range map[string]func(*Row){
		"found too rarely":                           func(r *Row) { r.Found, r.Buggy, r.Clean = 8, 8, 8 },
		"6 would be enough":                          func(r *Row) { r.Steps = 7 },
		"not every case fails again":                 func(r *Row) { r.Buggy = 8 },
		"not every case is fixed on the clean stack": func(r *Row) { r.Clean = 8 },
		"errors": func(r *Row) { r.Errors = []string{"no stack"} },
	} {
		r := good
		change(&r)
		require.Equal(t, []string{want}, r.Short())
	}
	require.Equal(t, []string{"found too rarely"}, Row{Trials: 1}.Short(), "nothing else can be said of what was not found")
	require.Len(t, Row{Trials: 10, Found: 1, Steps: 9, Known: 2, Errors: []string{"x"}}.Short(), 5)
}
