package shrink

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"chaos/model"
	"chaos/model/plantext"
)

func drawPlan(t *rapid.T) model.Plan {
	seed := rapid.Uint64().Draw(t, "seed")
	p := randomPlan(rand.New(rand.NewPCG(seed, 9)), rapid.IntRange(1, 25).Draw(t, "steps"))
	if pr := p.Check(); pr != nil {
		t.Fatalf("random plan: %v", pr)
	}
	return p
}

// Whatever a pass proposes, a candidate is a legal plan, strictly simpler and canonical.
func TestPasses_ProposeLegalSimplerPlans(t *testing.T) {
	t.Parallel()
	proposed := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		s := newSession(context.Background(), drawPlan(t), nil, Options{Vocab: words{}, Focus: []model.Ref{"b1"}}.withDefaults())
		defer s.lab.close()
		s.original.reached = make([]bool, len(s.original.plan.Steps))
		for i := range s.original.reached {
			s.original.reached[i] = i%3 != 0
		}
		before := keyOf(s.original.plan)
		for _, ps := range passes {
			for ed := range ps.edits(s, s.original.plan, nil) {
				e := s.candidate(ed.plan)
				if e == nil {
					continue
				}
				proposed[ps.name]++
				require.Nil(t, e.plan.Check())
				require.True(t, e.cost.Less(s.original.cost))
				require.Equal(t, e.plan, Canonical(e.plan))
			}
		}
		require.Equal(t, before, keyOf(s.original.plan), "a pass must not change the plan it is given")
	})
	for _, ps := range passes {
		require.NotZero(t, proposed[ps.name], "pass %q never proposed anything", ps.name)
	}
}

func TestCanonical_OnlyRenames(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := drawPlan(t)
		shift := rapid.IntRange(1, 5).Draw(t, "shift")
		q := p.Clone()
		other := func(r model.Ref) model.Ref {
			if r == "" {
				return r
			}
			var n int
			_, err := fmt.Sscanf(string(r[1:]), "%d", &n)
			require.NoError(t, err)
			return model.Ref(fmt.Sprintf("%c%d", r[0], (n+shift)*3))
		}
		for i := range q.Steps {
			s := &q.Steps[i]
			s.Bind, s.On, s.After = other(s.Bind), other(s.On), other(s.After)
			s.Client = string(rune(s.Client[0] + byte(shift)))
			s.Group *= 7
		}
		require.Nil(t, q.Check())
		require.Equal(t, Canonical(p), Canonical(q))
		require.Equal(t, Canonical(p), Canonical(Canonical(p)))
		require.Equal(t, CostOf(p, words{}), CostOf(Canonical(p), words{}))
		require.Equal(t, keyOf(Canonical(p)) == keyOf(p), plantext.Print(p) == plantext.Print(Canonical(p)))
	})
}

func TestCanonical_RenamesNamesOfBoxes(t *testing.T) {
	t.Parallel()
	p, err := plantext.Parse("c: b5 = create\nb: b2 = create name=b5\nb: b9 = create name=n1\n", nil)
	require.NoError(t, err)
	require.Equal(t, "a: b1 = create\nb: b2 = create name=b1\nb: b3 = create name=n1\n", plantext.Print(Canonical(p)))
}

// A deterministic bug that needs one step of each of some kinds ends at exactly these steps, with
// everything else gone.
func TestShrink_EndsAtTheHiddenSet(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := drawPlan(t)
		var kinds []string
		for _, s := range p.Steps {
			if !slices.Contains(kinds, s.Action) {
				kinds = append(kinds, s.Action)
			}
		}
		guilty := rapid.SliceOfNDistinct(rapid.SampledFrom(kinds), 1, len(kinds), rapid.ID[string]).Draw(t, "guilty")
		f := newFake(1, func(p model.Plan) bool {
			return !slices.ContainsFunc(guilty, func(kind string) bool {
				return !slices.ContainsFunc(p.Steps, func(s model.Step) bool { return s.Action == kind })
			})
		}, 1, 0)
		res, err := Shrink(context.Background(), p, f.run, Options{Vocab: words{}})
		require.NoError(t, err)
		require.Equal(t, Cost{Steps: len(guilty), Clients: 1}, CostOf(res.Shortest.Plan, words{}), plantext.Print(res.Shortest.Plan))
	})
}

func TestEdits(t *testing.T) {
	t.Parallel()
	parse := func(text string) model.Plan {
		p, err := plantext.Parse(text, nil)
		require.NoError(t, err)
		return p
	}
	p := parse("a: b1 = create\na: e1 = exec b1\nb: b2 = create name=b1\ntogether\n  a: info e1\n  b: stop b2 after=e1\n  c: list after=b1\n")
	drop := func(i ...int) []bool {
		d := make([]bool, len(p.Steps))
		for _, k := range i {
			d[k] = true
		}
		return d
	}
	for name, tc := range map[string]struct {
		got  model.Plan
		want string
	}{
		"users go with what they use":      {without(p, withUsers(p, drop(0)), false), "c: list\n"},
		"a wait for a dropped step goes":   {without(p, withUsers(p, drop(1)), false), "a: b1 = create\nb: b2 = create name=b1\ntogether\n  b: stop b2\n  c: list after=b1\n"},
		"or is bent to the step before it": {without(p, withUsers(p, drop(1)), true), "a: b1 = create\nb: b2 = create name=b1\ntogether\n  b: stop b2 after=b1\n  c: list after=b1\n"},
		"only one box stays":               {without(p, withUsers(p, keeping(p, []model.Ref{"b1"})), false), "a: b1 = create\na: e1 = exec b1\ntogether\n  a: info e1\n  c: list after=b1\n"},
		"a step leaves its group backwards": {takeOut(p, 4, true),
			"a: b1 = create\na: e1 = exec b1\nb: b2 = create name=b1\nb: stop b2 after=e1\ntogether\n  a: info e1\n  c: list after=b1\n"},
		"a step leaves its group forwards": {takeOut(p, 3, false),
			"a: b1 = create\na: e1 = exec b1\nb: b2 = create name=b1\ntogether\n  b: stop b2 after=e1\n  c: list after=b1\na: info e1\n"},
		"a client takes another's work": {merge(p, "c", "a", false),
			"a: b1 = create\na: e1 = exec b1\nb: b2 = create name=b1\ntogether\n  a: info e1\n  b: stop b2 after=e1\na: list after=b1\n"},
		"a step moves to a client that is not in the group": {reassign(p, 0, "c", false),
			"c: b1 = create\na: e1 = exec b1\nb: b2 = create name=b1\ntogether\n  a: info e1\n  b: stop b2 after=e1\n  c: list after=b1\n"},
		"a group is dissolved": {dissolve(p, 3, 5),
			"a: b1 = create\na: e1 = exec b1\nb: b2 = create name=b1\na: info e1\nb: stop b2 after=e1\nc: list after=b1\n"},
	} {
		require.Nil(t, tc.got.Check(), name)
		require.Equal(t, tc.want, plantext.Print(tc.got), name)
	}
}

func TestLower(t *testing.T) {
	t.Parallel()
	list := func(low int64, v size) []int64 { return slices.Collect(lower(low, v)) }
	ms := int64(time.Millisecond)
	require.Equal(t, []int64{50, 75, 87, 93, 96, 98, 99}, list(0, size{n: 100}))
	require.Equal(t, []int64{38, 39}, list(36, size{n: 40}))
	require.Empty(t, list(0, size{n: 1}))
	require.Empty(t, list(0, size{n: 0}))
	require.Equal(t, []int64{4 * ms, 6 * ms}, list(0, size{8 * ms, true}))
	require.Equal(t, []int64{ms * 15 / 10, ms * 22 / 10}, list(0, size{3 * ms, true}), "round values")
	require.Empty(t, list(0, size{int64(150 * time.Microsecond), true}))
}

func TestWeigh(t *testing.T) {
	t.Parallel()
	signals := model.ArgSpec{Name: "sig", Simpler: []string{"15", "9"}}
	lines := model.ArgSpec{Name: "stdout", Simpler: []string{"", "1", "10"}}
	less := func(spec model.ArgSpec, a, b string) bool {
		ra, na := weigh(spec, a)
		rb, nb := weigh(spec, b)
		return ra < rb || (ra == rb && na < nb)
	}
	require.True(t, less(signals, "15", "9"), "numbers that are names keep the order of their list")
	require.True(t, less(signals, "9", "2"))
	require.True(t, less(lines, "5", "10"), "amounts are compared as amounts, listed or not")
	require.True(t, less(lines, "10", "300"))
	require.True(t, less(model.ArgSpec{}, "20ms", "1s"))
	require.False(t, less(model.ArgSpec{}, "yes", "no") || less(model.ArgSpec{}, "no", "yes"))
	require.Equal(t, []string{"15"}, simpler(signals, "9"))
	require.Equal(t, []string{"15", "9"}, simpler(signals, "99"))
	require.Equal(t, []string{"1", "10"}, simpler(lines, "25"))
	require.Equal(t, []string{"1"}, simpler(lines, "10"))
	require.Empty(t, simpler(signals, "15"))
	_, huge := weigh(model.ArgSpec{}, "9223372036854775807")
	require.Equal(t, maxSize, huge)
}
