package actions_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/actions"
	"chaos/model"
	"chaos/model/plantext"
)

// TestConformance_SpecsAreComplete finds what was forgotten when an action was added.
func TestConformance_SpecsAreComplete(t *testing.T) {
	require.NotEmpty(t, actions.All())
	for _, a := range actions.All() {
		s := a.Spec()
		require.Equal(t, s.Name, a.Spec().Name)
		got, ok := actions.Get(s.Name)
		require.True(t, ok)
		require.Equal(t, a, got, "registered under its own name")
		require.NotEmpty(t, s.Doc, s.Name)
		require.Positive(t, s.Weight, s.Name)
		require.Contains(t, []byte{0, 'b', 'e'}, s.On, s.Name)
		require.Contains(t, []byte{0, 'b', 'e'}, s.Binds, s.Name)
		require.True(t, slices.IsSortedFunc(s.Args, func(x, y model.ArgSpec) int {
			if x.Name < y.Name {
				return -1
			}
			return 1
		}), "%s: arguments sorted, each once", s.Name)
		for _, arg := range s.Args {
			require.NotEmpty(t, arg.Doc, "%s %s", s.Name, arg.Name)
			require.NotContains(t, []string{"", "after", "gap"}, arg.Name, "%s: the form of plans takes this name", s.Name)
			require.NotNil(t, arg.Check, "%s %s: anything would be accepted", s.Name, arg.Name)
			for _, bad := range []string{"", " ", "no such value", "-1", "0", "1e9", "99999999999999999999", "1000h"} {
				require.Error(t, arg.Check(bad), "%s %s=%q", s.Name, arg.Name, bad)
			}
			for _, v := range arg.Simpler {
				require.NoError(t, arg.Check(v), "%s %s=%s is offered as simpler", s.Name, arg.Name, v)
			}
		}
	}
	require.Len(t, actions.Drawables(), len(actions.All()))
	require.Equal(t, actions.Vocabulary{}.Names(), names())
	_, ok := actions.Vocabulary{}.Lookup("no such action")
	require.False(t, ok)
}

func names() []string {
	var out []string
	for _, a := range actions.All() {
		out = append(out, a.Spec().Name)
	}
	return out
}

// TestConformance_NothingIsDrawnWithoutWhatItActsOn: with an empty belief only what makes boxes is ready.
func TestConformance_NothingIsDrawnWithoutWhatItActsOn(t *testing.T) {
	boxOnly := model.Belief{Boxes: []model.BelievedBox{{Ref: "b1", State: model.Running}}}
	for _, a := range actions.All() {
		s := a.Spec()
		if s.Binds == 'b' {
			require.True(t, a.Ready(model.Belief{}), s.Name)
			continue
		}
		require.False(t, a.Ready(model.Belief{}), s.Name)
		require.Equal(t, s.On != 'e', a.Ready(boxOnly), s.Name)
	}
}

// walk draws a life of n steps from seed, calling see with the belief before each.
func walk(t *testing.T, seed uint64, n int, see func(a actions.Action, before model.Belief, s model.Step)) {
	src := rand.New(rand.NewPCG(seed, 1))
	var b model.Belief
	for range n {
		a := model.Pick(source{src}, actions.All())
		if !a.Ready(b) {
			continue
		}
		before := b.Clone()
		s := a.Draw(source{src}, b)
		require.Equal(t, before, b.Clone(), "seed %d: drawing %s changed the belief", seed, s.Action)
		see(a, before, s)
		step := s
		step.Args = slices.Clone(s.Args)
		a.Next(&b, s)
		require.Equal(t, step, s, "seed %d: Next of %s changed the step", seed, s.Action)
	}
}

type source struct{ *rand.Rand }

func (s source) Intn(n int) int { return s.IntN(n) }

// TestConformance_DrawnStepsAreWellFormed draws many lives and looks at each step.
func TestConformance_DrawnStepsAreWellFormed(t *testing.T) {
	uses := map[string]int{}
	for seed := range uint64(200) {
		walk(t, seed, 60, func(a actions.Action, before model.Belief, s model.Step) {
			spec := a.Spec()
			uses[spec.Name]++
			require.Equal(t, spec.Name, s.Action)
			require.True(t, s.Client == "" && s.After == "" && s.Gap == 0 && s.Group == 0, "%s: who, when and with whom is the generator's", s.Action)
			fits(t, spec.On, s.On)
			fits(t, spec.Binds, s.Bind)
			require.True(t, spec.On != 'b' || slices.ContainsFunc(before.Boxes, func(x model.BelievedBox) bool { return x.Ref == s.On }))
			require.True(t, spec.On != 'e' || slices.ContainsFunc(before.Execs, func(x model.BelievedExec) bool { return x.Ref == s.On }))
			for _, arg := range s.Args {
				as, ok := spec.Arg(arg.Key)
				require.True(t, ok, "%s draws an argument %s that it does not have", s.Action, arg.Key)
				require.NoError(t, as.Check(arg.Value), "%s %s=%s", s.Action, arg.Key, arg.Value)
				uses[spec.Name+" "+arg.Key]++
			}
			s.Client = "a"
			text := plantext.Print(model.Plan{Steps: []model.Step{s}})
			again, err := plantext.Parse(text, actions.Vocabulary{})
			require.NoError(t, err, text)
			require.Equal(t, []model.Step{s}, again.Steps, text)
		})
	}
	for _, a := range actions.All() {
		require.GreaterOrEqual(t, uses[a.Spec().Name], 5, a.Spec().Name)
		for _, arg := range a.Spec().Args {
			require.GreaterOrEqual(t, uses[a.Spec().Name+" "+arg.Name], 5, "%s %s is never drawn", a.Spec().Name, arg.Name)
		}
	}
}

func fits(t *testing.T, kind byte, ref model.Ref) {
	if kind == 0 {
		require.Empty(t, ref)
		return
	}
	require.True(t, ref.Valid(), "%s", ref)
	require.Equal(t, kind, ref[0], "%s", ref)
}

// TestConformance_NextMovesOnlyTheBeliefItIsGiven applies each step to a copy and looks at the original.
func TestConformance_NextMovesOnlyTheBeliefItIsGiven(t *testing.T) {
	moved := map[string]bool{}
	for seed := range uint64(60) {
		walk(t, seed, 60, func(a actions.Action, before model.Belief, s model.Step) {
			original, copied := before.Clone(), before.Clone()
			a.Next(&copied, s)
			require.Equal(t, before, original, "%s", s.Action)
			again := before.Clone()
			a.Next(&again, s)
			require.Equal(t, copied, again, "%s: the same step moves the same belief the same way", s.Action)
			if len(copied.Boxes)+len(copied.Execs) != len(before.Boxes)+len(before.Execs) {
				moved[s.Action] = true
				require.NotZero(t, a.Spec().Binds, "%s binds nothing but adds to the belief", s.Action)
			}
		})
	}
	for _, a := range actions.All() {
		require.Equal(t, a.Spec().Binds != 0, moved[a.Spec().Name], "%s", a.Spec().Name)
	}
}

func TestConformance_TheSameDrawsGiveTheSameLife(t *testing.T) {
	life := func(seed uint64) (out []model.Step) {
		walk(t, seed, 80, func(_ actions.Action, _ model.Belief, s model.Step) { out = append(out, s) })
		return out
	}
	require.Equal(t, life(7), life(7))
	require.NotEqual(t, life(7), life(8))
}
