package invariants_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/invariants"
	"chaos/model"
)

func judge(s *story) model.Verdict { return judged(s.h) }

func judged(h *model.History) model.Verdict {
	c, err := h.Meta.Contract()
	if err != nil {
		panic(err)
	}
	return invariants.Judge(h, c)
}

func TestJudge_GoodHistoriesPass(t *testing.T) {
	for name, make := range good {
		v := judge(make())
		require.Equal(t, model.Pass, v.Status, "%s: %+v", name, v)
	}
}

func TestJudge_BadHistoriesTripTheirInvariant(t *testing.T) {
	for _, tc := range bad {
		v := judge(tc.make())
		require.Equal(t, model.Violated, v.Status, "%s · %s", tc.invariant, tc.detail)
		found := false
		for _, x := range v.Violations {
			found = found || x.Signature.Invariant == tc.invariant && x.Signature.Detail == tc.detail
			require.NotEmpty(t, x.Message)
			back, err := model.ParseSignature(x.Signature.String())
			require.NoError(t, err)
			require.Equal(t, x.Signature, back, "a case could not be saved")
			require.NotEmpty(t, x.Promise)
			require.NotEmpty(t, x.Source)
		}
		require.True(t, found, "%s · %s not among %v", tc.invariant, tc.detail, v.Signatures())
	}
}

// TestConformance_EveryInvariantHasABadHistory fails when an invariant is added without one.
func TestConformance_EveryInvariantHasABadHistory(t *testing.T) {
	for _, inv := range invariants.All() {
		n := 0
		for _, tc := range bad {
			if tc.invariant == inv.Name() {
				n++
			}
		}
		require.Positive(t, n, "invariant %s has no bad history", inv.Name())
		require.NotEmpty(t, inv.Promise())
		require.NotEmpty(t, inv.Source())
	}
}

func TestJudge_IsTheSameAfterSavingAndReading(t *testing.T) {
	for _, tc := range bad {
		h := tc.make().h
		before := judged(h)
		lines, err := h.MarshalLines()
		require.NoError(t, err)
		again, err := model.ParseHistory(lines)
		require.NoError(t, err)
		require.Equal(t, before, judged(again))
	}
}

func TestJudge_BrokenAssumptionsAreNoFindings(t *testing.T) {
	for what, spoil := range map[string]func(h *model.History){
		"two ids":             func(h *model.History) { h.Calls[1].ID = 0 },
		"time runs backwards": func(h *model.History) { h.Calls[1].Return = h.Calls[1].Invoke - 1 },
		"no outcome":          func(h *model.History) { h.Calls[1].Outcome = "" },
		"sent twice":          func(h *model.History) { h.Calls[2].Conns = 2 },
	} {
		s := end(lived())
		spoil(s.h)
		v := judge(s)
		require.NotEmpty(t, v.Broken, what)
		require.Empty(t, v.Violations, what)
		require.Equal(t, model.Inconclusive, v.Status, what)
	}
}

func TestJudge_DeadlinesSayNothingWhenTheMachineStoodStill(t *testing.T) {
	for _, tc := range bad {
		if tc.invariant != "exec-resolves" && tc.detail != "stays running" && tc.detail != "process left" {
			continue
		}
		s := tc.make()
		s.h.Meta.Stalled = 10 * time.Second
		v := judge(s)
		require.Equal(t, model.Inconclusive, v.Status, "%s · %s", tc.invariant, tc.detail)
		require.NotEmpty(t, v.Unjudged)
	}
}

func TestJudge_AnAbortedRunOrALossyJournalIsInconclusive(t *testing.T) {
	s := end(lived())
	s.h.Meta.Aborted = "time was up"
	require.Equal(t, model.Inconclusive, judge(s).Status)
	s = end(lived())
	s.h.Journal.Problem, s.h.Journal.Entries = "the journal dropped lines", nil
	require.Equal(t, model.Inconclusive, judge(s).Status)
}

func TestCompare_TornOwnTokenIsNotForeign(t *testing.T) {
	p := model.Payload{Token: "run-7.e12", Stdout: 30}
	want := p.Expected(model.Out)
	for cut := 1; cut < len(want); cut += 7 {
		d, _ := invariants.Compare(want, append(append([]byte{}, want[:cut]...), want[cut/2:]...), p.Token)
		require.Contains(t, []invariants.Damage{invariants.Duplicated, invariants.Corrupt}, d, "repeated from byte %d at byte %d", cut/2, cut)
	}
}

func TestBlind_SaysWhatAHistoryCannotShow(t *testing.T) {
	journal := model.Signature{Invariant: "journal-path", Action: "exec", Detail: "exec not started by the runner"}
	foreign := model.Signature{Invariant: "journal-path", Action: "create", Detail: "box nobody asked for"}
	process := model.Signature{Invariant: "nothing-left", Action: "remove", Detail: "process left"}
	record := model.Signature{Invariant: "nothing-left", Action: "create", Detail: "record left by a refused create"}
	h := end(lived()).h
	h.Journal.Exclusive = true
	for _, sig := range []model.Signature{journal, foreign, process, record} {
		require.Empty(t, invariants.Blind(sig, h), sig)
	}
	h.Journal, h.Meta.ResidueChecked = model.Journal{}, false
	for _, sig := range []model.Signature{journal, foreign, process} {
		require.NotEmpty(t, invariants.Blind(sig, h), sig)
	}
	require.Empty(t, invariants.Blind(record, h), "the list shows records")
	require.NotEmpty(t, invariants.Blind(model.Signature{Invariant: "gone"}, h))
}
