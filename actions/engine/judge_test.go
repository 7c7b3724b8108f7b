package engine_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/actions"
	"chaos/actions/engine"
	"chaos/invariants"
	"chaos/model"
	"chaos/model/gen"
	"chaos/model/plantext"
)

// runPlans performs n random plans on one correct fake, several at once, and returns their histories
// in the order of their seeds.
func runPlans(t *testing.T, first, n, maxSteps int) []*model.History {
	f := startFake(t, uint64(first), hooks{})
	e := engine.New(f, actions.Get)
	defer e.Close()
	g := gen.Plans(actions.Drawables(), gen.Config{MaxSteps: maxSteps})
	out := make([]*model.History, n)
	var wg sync.WaitGroup
	next := make(chan int)
	for range 10 {
		wg.Go(func() {
			for i := range next {
				seed := int64(first + i)
				h, err := e.Run(t.Context(), gen.At(g, seed), fmt.Sprintf("t-%d", seed), seed)
				if err != nil {
					t.Errorf("seed %d: %v", seed, err)
				}
				out[i] = h
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	require.False(t, t.Failed())
	return out
}

func contract(t testing.TB) model.Contract {
	c, ok := model.Lookup("cloud")
	require.True(t, ok)
	return c
}

// TestJudge_ACorrectStackPasses is the half of the oracle that keeps quiet: whatever the plan, a stack
// that does what the contract says is never accused.
func TestJudge_ACorrectStackPasses(t *testing.T) {
	plans := 120
	if testing.Short() {
		plans = 30
	}
	began := time.Now()
	calls := 0
	for _, h := range runPlans(t, 1000, plans, 24) {
		v := invariants.Judge(h, contract(t))
		require.Equal(t, model.Pass, v.Status, "seed %d: %+v\n%s", h.Meta.Seed, v, plantext.Print(h.Plan))
		calls += len(h.Calls)
	}
	t.Logf("%d plans, %d calls, in %s: not one false alarm", plans, calls, time.Since(began).Round(time.Millisecond))
}

// spoil applies one mutation to a copy of h. It returns nil when h has no place for it.
func spoil(t *testing.T, h *model.History, m mutation, rnd *rand.Rand) *model.History {
	lines, err := h.MarshalLines()
	require.NoError(t, err)
	c, err := model.ParseHistory(lines)
	require.NoError(t, err)
	c.Plan = h.Plan
	c.Meta.Stalled = 0 // what a mutation changes has nothing to do with how busy this machine was
	if !m.apply(&mutant{c, rnd}) {
		return nil
	}
	return c
}

// TestJudge_ABrokenStackIsCaught is the other half of the oracle: it takes histories of a correct
// stack, makes one thing in each untrue, and counts how often the judge notices.
func TestJudge_ABrokenStackIsCaught(t *testing.T) {
	const each = 6 // instances of each mutation
	histories := runPlans(t, 9000, 60, 32)
	rnd := rand.New(rand.NewPCG(42, 1))
	total, caught, named, kinds := 0, 0, 0, 0
	for _, m := range mutations {
		n, missed := 0, 0
		for tries := 0; n < each && tries < 40*each; tries++ {
			h := spoil(t, histories[rnd.IntN(len(histories))], m, rnd)
			if h == nil {
				continue
			}
			n++
			v := invariants.Judge(h, contract(t))
			if v.Status != model.Violated {
				missed++
				t.Logf("not noticed: %s, seed %d: %+v", m.name, h.Meta.Seed, v)
				continue
			}
			caught++
			if slices.ContainsFunc(v.Violations, func(x model.Violation) bool { return x.Signature.Invariant == m.by }) {
				named++
			} else {
				t.Logf("noticed by another invariant than %s: %s, seed %d: %v", m.by, m.name, h.Meta.Seed, v.Signatures())
			}
		}
		total += n
		if n > 0 {
			kinds++
		} else {
			t.Logf("no place for: %s", m.name)
		}
	}
	t.Logf("%d of %d spoilt histories of %d kinds noticed (%.1f %%), %d by the invariant they should be", caught, total, kinds, 100*float64(caught)/float64(total), named)
	require.GreaterOrEqual(t, kinds, 12)
	require.GreaterOrEqual(t, total, 40)
	require.GreaterOrEqual(t, float64(caught), 0.95*float64(total))
}
