package corpus_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/actions"
	"chaos/actions/engine"
	"chaos/corpus"
	"chaos/corpus/shrink"
	"chaos/invariants"
	"chaos/model"
	"chaos/stack/embedded"
	"chaos/stack/embedded/bugs"
	"chaos/stack/embedded/child"
)

func TestMain(m *testing.M) {
	child.Dispatch()
	os.Exit(m.Run())
}

// buggyMiss makes a case run until it fails, or the most often that cases are run at all: how often a
// race is lost depends on the machine, and the first failure ends it.
const buggyMiss = 1e-100

// TestRegressions runs every promoted case where it must fail and where it must pass.
func TestRegressions(t *testing.T) {
	top := t // what lasts longer than a case
	cases, broken, err := corpus.LoadDir("regressions", actions.Vocabulary{})
	require.NoError(t, err)
	require.Empty(t, broken)
	require.NotEmpty(t, cases, "no case has been promoted")
	clean := map[string]*rig{} // by contract, and whether messages are scheduled
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			require.NotEmpty(t, c.Bugs, "a promoted case names the seeded bugs it needs, or nobody can tell that it still works")
			contract := contractOf(t, c)
			buggy := startRig(t, c.Bugs, contract, c.Plan.Scheduled())
			r := corpus.Replay(t.Context(), c, buggy.predicate(c.Signature), corpus.ReplayOptions{Parallel: 3, Miss: buggyMiss, Vocab: actions.Vocabulary{}})
			require.Contains(t, []corpus.Verdict{corpus.Failed, corpus.Flaky}, r.Verdict, "with %v: %s", c.Bugs, r)
			require.Positive(t, r.Failures, "with %v it fails in another way: %s", c.Bugs, r)
			kind := fmt.Sprint(contract, c.Plan.Scheduled())
			if clean[kind] == nil {
				clean[kind] = startRig(top, nil, contract, c.Plan.Scheduled())
			}
			r = corpus.Replay(t.Context(), c, clean[kind].predicate(c.Signature), corpus.ReplayOptions{Parallel: 3, Vocab: actions.Vocabulary{}})
			require.Equal(t, corpus.Fixed, r.Verdict, "on the clean stack: %s", r)
		})
	}
}

// contractOf is the contract that c was found under, or else the one that its bugs need.
func contractOf(t *testing.T, c *corpus.Case) model.Contract {
	t.Helper()
	set, err := bugs.Parse(strings.Join(c.Bugs, ","))
	require.NoError(t, err)
	flags, err := bugs.Contract(set)
	require.NoError(t, err)
	if c.Profile != "" {
		flags, err = model.ParseFlags(c.Flags)
		require.NoError(t, err)
	}
	contract, err := embedded.Options{Profile: c.Profile, Flags: flags}.Contract()
	require.NoError(t, err)
	return contract
}

// rig performs and judges plans on an embedded stack.
type rig struct {
	engine   *engine.Engine
	contract model.Contract
	serial   atomic.Int64
}

func startRig(t *testing.T, on []string, contract model.Contract, schedule bool) *rig {
	t.Helper()
	set, err := bugs.Parse(strings.Join(on, ","))
	require.NoError(t, err)
	s, err := embedded.Start(t.Context(), embedded.Options{Bugs: set, Profile: contract.Profile, Flags: contract.Flags, SyncInterval: 15 * time.Millisecond, Schedule: schedule})
	require.NoError(t, err)
	target := embedded.NewTarget(s)
	r := &rig{engine: engine.New(target, actions.Get), contract: contract}
	t.Cleanup(func() {
		r.engine.Close()
		target.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		require.NoError(t, s.Stop(ctx))
	})
	return r
}

func (r *rig) predicate(sig model.Signature) shrink.Run {
	return func(ctx context.Context, p model.Plan) (shrink.Outcome, error) {
		h, err := r.engine.Run(ctx, p, fmt.Sprintf("regress-%d", r.serial.Add(1)), 0)
		if err != nil {
			return shrink.Outcome{}, err
		}
		v := invariants.Judge(h, r.contract)
		out := shrink.Outcome{Failed: v.Has(sig), Inconclusive: v.Status == model.Inconclusive}
		if why := invariants.Blind(sig, h); why != "" && !out.Failed {
			out.Inconclusive, out.Why = true, why
		}
		for _, x := range v.Violations {
			if x.Signature != sig {
				out.Slips = append(out.Slips, x)
			}
		}
		return out, nil
	}
}
