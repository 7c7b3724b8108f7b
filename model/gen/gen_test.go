package gen_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/actions"
	"chaos/model"
	"chaos/model/gen"
)

func TestPlans_SameSeedSamePlan(t *testing.T) {
	a, b := gen.Plans(actions.Drawables(), gen.Config{}), gen.Plans(actions.Drawables(), gen.Config{})
	for seed := range int64(50) {
		require.Equal(t, gen.At(a, seed), gen.At(b, seed))
	}
	require.NotEqual(t, gen.At(a, 1), gen.At(a, 2))
}

func TestPlans_AreLegalAndWithinBounds(t *testing.T) {
	g := gen.Plans(actions.Drawables(), gen.Config{})
	short, long := 0, 0
	for seed := range int64(300) {
		p := gen.At(g, seed)
		require.Nil(t, p.Check(), "seed %d", seed)
		require.LessOrEqual(t, len(p.Clients()), 6)
		require.LessOrEqual(t, len(p.Steps), 60+4, "a last group may go over the target")
		if len(p.Steps) < 16 {
			short++
		}
		if len(p.Steps) > 40 {
			long++
		}
	}
	require.Greater(t, short, 20)
	require.Greater(t, long, 20)
}

// TestPlans_UseEveryActionAndArgument finds an action or argument that no plan would ever hold.
func TestPlans_UseEveryActionAndArgument(t *testing.T) {
	g := gen.Plans(actions.Drawables(), gen.Config{})
	uses := map[string]int{}
	together, after := 0, 0
	for seed := range int64(600) {
		for _, s := range gen.At(g, seed).Steps {
			uses[s.Action]++
			for _, a := range s.Args {
				uses[s.Action+" "+a.Key]++
			}
			if s.Group > 0 {
				together++
			}
			if s.After != "" {
				after++
			}
		}
	}
	for _, a := range actions.All() {
		spec := a.Spec()
		require.GreaterOrEqual(t, uses[spec.Name], 5, spec.Name)
		for _, arg := range spec.Args {
			require.GreaterOrEqual(t, uses[spec.Name+" "+arg.Name], 5, "%s %s", spec.Name, arg.Name)
		}
	}
	require.Positive(t, together)
	require.Positive(t, after)
}

func TestPlans_ClientsAreAsConfigured(t *testing.T) {
	g := gen.Plans(actions.Drawables(), gen.Config{Clients: 1, MaxSteps: 20})
	for seed := range int64(30) {
		p := gen.At(g, seed)
		require.Equal(t, []string{"a"}, p.Clients())
		for _, s := range p.Steps {
			require.Zero(t, s.Group)
		}
	}
}

// TestPlans_MostStepsActOnBoxesThatLive keeps the generator from wasting its steps on 404s.
func TestPlans_MostStepsActOnBoxesThatLive(t *testing.T) {
	g := gen.Plans(actions.Drawables(), gen.Config{})
	execs, alive := 0, 0
	for seed := range int64(200) {
		var b model.Belief
		for _, s := range gen.At(g, seed).Steps {
			a, _ := actions.Get(s.Action)
			if s.Action == "exec" {
				execs++
				for _, x := range b.Boxes {
					if x.Ref == s.On && x.State == model.Running {
						alive++
					}
				}
			}
			a.Next(&b, s)
		}
	}
	require.Greater(t, float64(alive)/float64(execs), 0.7)
}
