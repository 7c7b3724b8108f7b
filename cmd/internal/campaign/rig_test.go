package campaign

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/actions"
	"chaos/model"
	"chaos/model/gen"
	"chaos/model/plantext"
	"chaos/stack"
	"chaos/stack/embedded/bugs"
)

// stopped is the signature of an exec on a stopped box that was answered with a server error.
var stopped = model.Signature{Invariant: "typed-errors", Action: "exec", State: "stopped", Detail: "500"}

func parsePlan(t *testing.T, text string) model.Plan {
	t.Helper()
	p, err := plantext.Parse(text, actions.Vocabulary{})
	require.NoError(t, err)
	return p
}

// TestPlanSeed_StaysTheSame pins values: cases name the seed and the number of the plan that found
// them, and those must mean the same next year. The first two are half of SplitMix64's published outputs.
func TestPlanSeed_StaysTheSame(t *testing.T) {
	for _, c := range []struct {
		seed int64
		i    int
		want int64
	}{
		{0, 0, 8147104208329303767}, {1, 0, 5225608189600411232}, {7, 3, 5376582964150736101}, {-1, 41, 6440559898852111421},
	} {
		require.Equal(t, c.want, PlanSeed(c.seed, c.i), "seed %d, plan %d", c.seed, c.i)
	}
}

func TestPlanSeed_DiffersBetweenPlansAndCampaigns(t *testing.T) {
	seen := map[int64]string{}
	for _, seed := range []int64{-3, 0, 1, 2, 3, 1 << 40} {
		for i := range 5000 {
			s := PlanSeed(seed, i)
			require.GreaterOrEqual(t, s, int64(0))
			require.Empty(t, seen[s], "seed %d, plan %d", seed, i)
			seen[s] = fmt.Sprintf("seed %d, plan %d", seed, i)
		}
	}
}

func TestPlanSeed_GivesTheSamePlan(t *testing.T) {
	draw := func(seed int64, i int) string {
		return plantext.Print(gen.At(gen.Plans(actions.Drawables(), gen.Config{}), PlanSeed(seed, i)))
	}
	for i := range 20 {
		require.Equal(t, draw(7, i), draw(7, i))
		require.NotEqual(t, draw(7, i), draw(8, i))
		require.NotEqual(t, draw(7, i), draw(7, i+1))
	}
}

// strange is a target of a profile that nobody wrote a contract for.
type strange struct{ stack.Target }

func (strange) Profile() string    { return "strange" }
func (strange) Flags() model.Flags { return nil }

func TestNewRig_NeedsAContract(t *testing.T) {
	_, err := NewRig(strange{})
	require.ErrorContains(t, err, `"strange"`)
}

func TestRig_SavesBeforeItJudges(t *testing.T) {
	rig, target := startRig(t, bugs.Set{bugs.Stopped500: true})
	plan := parsePlan(t, "a: b1 = create\na: stop b1\na: e1 = exec b1\n")
	var log []string
	rig.Save = func(h *model.History) (func(model.Verdict), error) {
		log = append(log, fmt.Sprintf("saved a history of seed %d", h.Meta.Seed))
		return func(v model.Verdict) { log = append(log, fmt.Sprintf("judged %s", v.Status)) }, nil
	}
	_, v, err := rig.Perform(t.Context(), plan, 42)
	require.NoError(t, err)
	require.True(t, v.Has(stopped), "%v", v)
	require.Equal(t, []string{"saved a history of seed 42", "judged violated"}, log)

	full := errors.New("disk full")
	rig.Save = func(*model.History) (func(model.Verdict), error) { return nil, full }
	_, _, err = rig.Perform(t.Context(), plan, 42)
	require.ErrorIs(t, err, full)
	requireNothingLeft(t, target)
}

func TestRig_Predicate(t *testing.T) {
	rig, target := startRig(t, bugs.Set{bugs.Stopped500: true})
	plan := parsePlan(t, "a: b1 = create\na: stop b1\na: e1 = exec b1\na: get b1\n")

	out, err := rig.Predicate(stopped)(t.Context(), plan)
	require.NoError(t, err)
	require.True(t, out.Failed)
	require.Empty(t, out.Slips)
	require.Equal(t, []bool{true, true, true, false}, out.Reached, "what comes after the failure is not needed for it")

	// The same failure is a slip to whoever looks for another one.
	other := stopped
	other.State = "running"
	out, err = rig.Predicate(other)(t.Context(), plan)
	require.NoError(t, err)
	require.False(t, out.Failed)
	require.Len(t, out.Slips, 1)
	require.Equal(t, stopped, out.Slips[0].Signature)
	require.Equal(t, []bool{true, true, true, true}, out.Reached)

	// An interrupted run says nothing, and leaves nothing.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out, err = rig.Predicate(stopped)(ctx, plan)
	require.ErrorIs(t, err, context.Canceled)
	require.False(t, out.Failed)
	require.True(t, out.Inconclusive)
	requireNothingLeft(t, target)
}
