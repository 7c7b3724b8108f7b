package shrink

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/model"
)

// coin is a system in which a plan fails at a rate that depends on the plan.
func coin(rate func(model.Plan) float64) Run {
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(1, 2))
	return func(_ context.Context, p model.Plan) (Outcome, error) {
		mu.Lock()
		defer mu.Unlock()
		return Outcome{Failed: rng.Float64() < rate(p)}, nil
	}
}

func has(p model.Plan, action, key string) bool {
	for _, s := range p.Steps {
		if s.Action == action && (key == "" || s.Args.Has(key) || key == "gap" && s.Gap > 0) {
			return true
		}
	}
	return false
}

func TestWhy_TellsRolesApart(t *testing.T) {
	p := model.Plan{Steps: []model.Step{
		{Client: "a", Bind: "b1", Action: "create"},
		{Client: "a", Bind: "e1", Action: "exec", On: "b1", Args: model.Args{{Key: "stdout", Value: "9"}, {Key: "tty", Value: "yes"}}},
		{Client: "b", Action: "stop", On: "b1", Gap: 3 * time.Millisecond},
		{Client: "b", Action: "list"},
	}}
	run := coin(func(p model.Plan) float64 {
		switch {
		case !has(p, "stop", "") || !has(p, "exec", "stdout"):
			return 0
		case !has(p, "stop", "gap"):
			return 0.3
		case !has(p, "exec", "tty"):
			return 1
		}
		return 0.75
	})
	heard := 0
	whole, causes, err := Why(t.Context(), p, run, WhyOptions{Runs: 120, Parallel: 4, OnCause: func(int, int, Cause) { heard++ }})
	require.NoError(t, err)
	require.InDelta(t, 0.75, whole.Rate(), 0.15)
	require.Len(t, causes, heard)
	roles := map[string]Role{}
	for _, c := range causes {
		roles[p.Steps[c.Step].Action+" "+c.What] = c.Role
	}
	require.Equal(t, map[string]Role{
		"create step": Needed, "exec step": Needed, "exec stdout=9": Needed, "exec tty=yes": Hinders,
		"stop step": Needed, "stop gap=3ms": Amplifies, "list step": NoMatter,
	}, roles)
}

func TestWhy_ReturnsWhatItHasWhenItIsBrokenOff(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := model.Plan{Steps: []model.Step{{Client: "a", Action: "list"}, {Client: "b", Action: "list"}}}
	_, causes, err := Why(ctx, p, coin(func(model.Plan) float64 { return 1 }), WhyOptions{Runs: 5, OnCause: func(int, int, Cause) { cancel() }})
	require.Error(t, err)
	require.Len(t, causes, 1)
}

func TestTune_FindsTheScheduleThatMatters(t *testing.T) {
	p := model.Plan{Steps: []model.Step{{Client: "a", Bind: "b1", Action: "create"}, {Client: "b", Action: "stop", On: "b1"}}}
	draw := func(n int) model.Plan {
		q := p.Clone()
		q.Steps[0].Args = q.Steps[0].Args.With(model.HoldAnswer, "2ms")
		if n%6 == 5 {
			q.Steps[1].Args = q.Steps[1].Args.With(model.HoldJob, "8ms")
		}
		return q
	}
	best, whole, ok, err := Tune(t.Context(), p, draw, coin(func(p model.Plan) float64 {
		if has(p, "stop", model.HoldJob) {
			return 0.8
		}
		return 0.1
	}), TuneOptions{Parallel: 4})
	require.NoError(t, err)
	require.True(t, ok)
	require.True(t, has(best.Plan, "stop", model.HoldJob))
	require.False(t, has(best.Plan, "create", model.HoldAnswer), "what does not matter is dropped")
	require.Greater(t, best.Certificate.Low, whole.Certificate.High)

	_, _, ok, err = Tune(t.Context(), p, draw, coin(func(model.Plan) float64 { return 0.3 }), TuneOptions{Parallel: 4})
	require.NoError(t, err)
	require.False(t, ok, "no schedule is better than another")
}
