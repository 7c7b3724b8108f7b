package campaign

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/actions"
	"chaos/model"
	"chaos/model/gen"
	"chaos/stack/embedded/bugs"
)

// told is one failure of a stack with two bugs, and what it is.
type told struct {
	signature string
	bug       string // of the two, the one that shows it alone as well; "" = neither did
}

// TestTellApart measures whether signatures tell bugs apart that are there at the same time: on stacks
// with two bugs each, every failure is performed again with only one of them. It takes long and runs only
// if CHAOS_TELL_APART says how many pairs.
func TestTellApart(t *testing.T) {
	pairs, _ := strconv.Atoi(os.Getenv("CHAOS_TELL_APART"))
	if pairs == 0 {
		t.Skip("set CHAOS_TELL_APART to the number of pairs")
	}
	var sum score
	both := 0
	for i, p := range draw2(pairs) {
		t.Run(string(p[0].ID)+"+"+string(p[1].ID), func(t *testing.T) {
			list := tellApart(t, p, int64(i))
			s := scoreOf(p, list)
			sum.add(s)
			if s.seen == 2 {
				both++
			}
			fmt.Printf("%-60s %s\n", string(p[0].ID)+"+"+string(p[1].ID), s)
		})
	}
	fmt.Printf("%d pairs, both bugs seen in %d: %s\n", pairs, both, sum)
	require.GreaterOrEqual(t, sum.precision/float64(sum.bugs), 0.95)
	require.GreaterOrEqual(t, sum.recall/float64(sum.bugs), 0.95)
}

// draw2 draws pairs of bugs that can be there under one contract.
func draw2(n int) [][2]bugs.Bug {
	r := rand.New(rand.NewPCG(1, 1))
	all := slices.DeleteFunc(bugs.All(), func(b bugs.Bug) bool { return b.Needs != "" })
	var out [][2]bugs.Bug
	for len(out) < n {
		a, b := all[r.IntN(len(all))], all[r.IntN(len(all))]
		if a.ID != b.ID && a.Contract == b.Contract {
			out = append(out, [2]bugs.Bug{a, b})
		}
	}
	return out
}

const (
	failuresWanted = 16 // of each pair
	failuresOfOne  = 6  // of each signature
	plansAtMost    = 300
	again          = 12 // times a failing plan is performed with each bug alone
)

func tellApart(t *testing.T, p [2]bugs.Bug, seed int64) []told {
	both, _ := startRigUnder(t, bugs.Set{p[0].ID: true, p[1].ID: true}, p[0].Contract)
	var alone [2]*Rig
	for i, b := range p {
		alone[i], _ = startRigUnder(t, bugs.Set{b.ID: true}, b.Contract)
	}
	seen := map[model.Signature]int{}
	s := &Search{Rig: both, Seed: seed, Workers: 4, Plans: gen.Plans(actions.Drawables(), gen.Config{}),
		Known: func(sig model.Signature) bool { return seen[sig] >= failuresOfOne }}
	var out []told
	for len(out) < failuresWanted && s.Next < plansAtMost {
		failures, err := s.Until(t.Context(), plansAtMost)
		require.NoError(t, err)
		for _, f := range failures {
			sig := f.Violation.Signature
			seen[sig]++
			out = append(out, told{sig.String(), whose(t, p, alone, f)})
		}
	}
	return out
}

// whose performs the plan of f with each of the bugs alone, and returns the one that showed the same more often.
func whose(t *testing.T, p [2]bugs.Bug, alone [2]*Rig, f Failure) string {
	var n [2]int
	for i := range again {
		for k, rig := range alone {
			_, v, err := rig.Perform(t.Context(), f.Plan, 0)
			require.NoError(t, err)
			if v.Has(f.Violation.Signature) {
				n[k]++
			}
		}
		if i >= 2 && n[0] != n[1] && min(n[0], n[1]) == 0 {
			break
		}
	}
	switch {
	case n[0] > n[1]:
		return string(p[0].ID)
	case n[1] > n[0]:
		return string(p[1].ID)
	}
	return ""
}

// score says how well signatures tell two bugs apart. A signature belongs to the bug that most of its
// failures are of.
type score struct {
	failures, unknown, right int
	seen                     int // of the two bugs
	precision, recall        float64
	bugs                     int
	mixed                    []string // signatures that more than one bug has
}

func scoreOf(p [2]bugs.Bug, list []told) score {
	s := score{failures: len(list)}
	count := map[string]map[string]int{} // signature, bug
	of := map[string]int{}
	for _, x := range list {
		if x.bug == "" {
			s.unknown++
			continue
		}
		if count[x.signature] == nil {
			count[x.signature] = map[string]int{}
		}
		count[x.signature][x.bug]++
		of[x.bug]++
	}
	right, under := map[string]int{}, map[string]int{}
	for sig, byBug := range count {
		a, b := string(p[0].ID), string(p[1].ID)
		if byBug[b] > byBug[a] {
			a, b = b, a
		}
		right[a] += byBug[a]
		under[a] += byBug[a] + byBug[b]
		if byBug[b] > 0 {
			s.mixed = append(s.mixed, fmt.Sprintf("%s: %v", sig, byBug))
		}
	}
	for bug, n := range of {
		s.seen++
		s.bugs++
		s.right += right[bug]
		s.recall += float64(right[bug]) / float64(n)
		if under[bug] > 0 {
			s.precision += float64(right[bug]) / float64(under[bug])
		}
	}
	return s
}

func (s *score) add(o score) {
	s.failures += o.failures
	s.unknown += o.unknown
	s.right += o.right
	s.precision += o.precision
	s.recall += o.recall
	s.bugs += o.bugs
	s.mixed = append(s.mixed, o.mixed...)
}

func (s score) String() string {
	out := fmt.Sprintf("%d failures, %d of them shown by neither bug alone, precision %.3f, recall %.3f", s.failures, s.unknown, s.precision/float64(max(1, s.bugs)), s.recall/float64(max(1, s.bugs)))
	if len(s.mixed) > 0 {
		out += "; mixed: " + strings.Join(s.mixed, " | ")
	}
	return out
}
