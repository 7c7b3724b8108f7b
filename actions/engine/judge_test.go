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
func runPlans(t testing.TB, first, n, maxSteps int) []*model.History {
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
				h, err := e.Run(t.Context(), quieter(gen.At(g, seed), seed), fmt.Sprintf("t-%d", seed), seed)
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

// quieter bounds the output of most plans. All of it is compared byte by byte, and the race detector
// makes that slow; a few plans keep theirs.
func quieter(p model.Plan, seed int64) model.Plan {
	if seed%16 == 0 {
		return p
	}
	p = p.Clone()
	for i, s := range p.Steps {
		for _, stream := range []string{"stdout", "stderr", "stdin"} {
			if s.Args.Int(stream) > 60 {
				p.Steps[i].Args = p.Steps[i].Args.With(stream, "60")
			}
		}
		if s.Args.Has("slow") {
			p.Steps[i].Args = p.Steps[i].Args.With("slow", "10ms")
		}
	}
	return p
}

func contract(t testing.TB) model.Contract {
	c, ok := model.Lookup("cloud", nil)
	require.True(t, ok)
	return c
}

// TestJudge_ACorrectStackPasses is the half of the oracle that keeps quiet: whatever the plan, a stack
// that does what the contract says is never accused.
func TestJudge_ACorrectStackPasses(t *testing.T) {
	t.Parallel()
	plans := 105
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

// nursery hands out copies of histories to spoil.
type nursery struct {
	lines  [][]byte
	copies []*model.History // not spoilt yet, or nil
}

func newNursery(t *testing.T, histories []*model.History) *nursery {
	n := &nursery{copies: make([]*model.History, len(histories))}
	for _, h := range histories {
		lines, err := h.MarshalLines()
		require.NoError(t, err)
		n.lines = append(n.lines, lines)
	}
	return n
}

// spoil applies m to a copy of a random history. It returns nil when that has no place for it.
func (n *nursery) spoil(t *testing.T, m mutation, rnd *rand.Rand) *model.History {
	i := rnd.IntN(len(n.lines))
	if n.copies[i] == nil {
		h, err := model.ParseHistory(n.lines[i])
		require.NoError(t, err)
		h.Meta.Stalled = 0 // what a mutation changes has nothing to do with how busy this machine was
		n.copies[i] = h
	}
	h := n.copies[i]
	if !m.apply(&mutant{h, rnd}) {
		return nil
	}
	n.copies[i] = nil
	return h
}

// TestJudge_ABrokenStackIsCaught is the other half of the oracle: it takes histories of a correct
// stack, makes one thing in each untrue, and counts how often the judge notices.
func TestJudge_ABrokenStackIsCaught(t *testing.T) {
	t.Parallel()
	const each = 4 // instances of each mutation
	young := newNursery(t, runPlans(t, 9000, 40, 28))
	rnd := rand.New(rand.NewPCG(42, 1))
	total, caught, named, kinds := 0, 0, 0, 0
	for _, m := range slices.Concat(mutations, tenantMutations) {
		n, missed := 0, 0
		for tries := 0; n < each && tries < 40*each; tries++ {
			h := young.spoil(t, m, rnd)
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
	t.Logf("%d of %d spoilt histories of %d kinds noticed (%.1f %%), %d by the invariant meant for it", caught, total, kinds, 100*float64(caught)/float64(total), named)
	require.GreaterOrEqual(t, kinds, 12)
	require.GreaterOrEqual(t, total, 40)
	require.GreaterOrEqual(t, float64(caught), 0.95*float64(total))
}
