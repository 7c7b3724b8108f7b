package gen_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/actions"
	_ "chaos/actions/faults"
	"chaos/model"
	"chaos/model/gen"
	"chaos/model/plantext"
)

func TestPlans_WithASchedule(t *testing.T) {
	g := gen.Plans(actions.Drawables(), gen.Config{Schedule: true})
	seen, scheduled := map[string]bool{}, 0
	for seed := range int64(150) {
		p := gen.At(g, seed)
		require.Nil(t, p.Check())
		if p.Scheduled() {
			scheduled++
		}
		for _, s := range p.Steps {
			for _, a := range s.Args {
				seen[a.Key] = true
			}
		}
		again, err := plantext.Parse(plantext.Print(p), actions.Vocabulary{})
		require.NoError(t, err)
		require.Equal(t, p, again)
	}
	for _, a := range model.ScheduleArgs() {
		require.True(t, seen[a.Name], "%s is never drawn", a.Name)
	}
	require.Greater(t, scheduled, 100)
	require.Less(t, scheduled, 150, "some plans race as they are")
}

func TestScheduleAt_ChangesNothingElse(t *testing.T) {
	way := func(name string) model.Way {
		spec, _ := actions.Vocabulary{}.Lookup(name)
		return spec.Way
	}
	plain := gen.At(gen.Plans(actions.Drawables(), gen.Config{}), 3)
	for seed := range int64(50) {
		p := gen.ScheduleAt(plain, way, seed)
		require.Equal(t, p, gen.ScheduleAt(plain, way, seed), "a seed always gives the same")
		require.Equal(t, plantext.Print(plain), plantext.Print(p.Unscheduled()))
	}
}

func TestPlans_WithFaults(t *testing.T) {
	var all []model.Drawable
	for _, f := range actions.Faults() {
		all = append(all, f)
	}
	g := gen.Plans(actions.Drawables(), gen.Config{Faults: all})
	seen := map[string]bool{}
	with := 0
	for seed := range int64(200) {
		p := gen.At(g, seed)
		require.Nil(t, p.Check())
		n := 0
		for _, s := range p.Steps {
			if a, ok := actions.Get(s.Action); ok && a.Spec().Fault {
				seen[s.Action] = true
				n++
				require.NotEmpty(t, s.After, "a fault comes at a time that means something")
			}
		}
		require.LessOrEqual(t, n, 2)
		with += min(n, 1)
	}
	require.Len(t, seen, len(all))
	require.Greater(t, with, 150)
	require.Less(t, with, 200)
}
