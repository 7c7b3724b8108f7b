package engine_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/invariants"
	"chaos/model"
	"chaos/stack"
)

var errDisk = errors.New("disk on fire")

func TestRun_ABoxNobodyAskedForIsReportedOnce(t *testing.T) {
	for _, shared := range []bool{false, true} {
		f := startFake(t, 15, hooks{shared: shared, since: func() ([]stack.LogEntry, error) {
			return []stack.LogEntry{{Time: time.Now(), Unit: "boxlite-runner", Message: "created box id=c name=BoxOfNobody1 image=x"}}, nil
		}})
		e := newEngine(t, f)
		var foreign []string
		for i := range 3 {
			h, err := e.Run(t.Context(), parse(t, "a: b1 = create"), fmt.Sprintf("t-%d", i), 1)
			require.NoError(t, err)
			foreign = append(foreign, h.Journal.Foreign...)
		}
		if shared {
			require.Empty(t, foreign, "others use the stack too")
		} else {
			require.Equal(t, []string{"BoxOfNobody1"}, foreign)
		}
	}
}

func TestRun_ALossyJournalIsNotJudgedBy(t *testing.T) {
	var once atomic.Bool
	f := startFake(t, 16, hooks{
		mute: func(line string) bool { return strings.HasPrefix(line, "exec started") && !once.Load() },
		since: func() ([]stack.LogEntry, error) {
			if once.CompareAndSwap(false, true) {
				return []stack.LogEntry{{Time: time.Now(), Lost: true}}, nil
			}
			return nil, nil
		},
	})
	e := newEngine(t, f)
	for i, want := range []model.Status{model.Inconclusive, model.Pass} {
		h, err := e.Run(t.Context(), parse(t, "a: b1 = create\na: e1 = exec b1 stdout=1"), fmt.Sprintf("t-%d", i), 1)
		require.NoError(t, err)
		v := invariants.Judge(h, contract(t))
		require.Equal(t, want, v.Status, "run %d: %+v", i, v)
		require.Equal(t, want != model.Pass, h.Journal.Problem != "", "run %d", i)
	}
}

func TestRun_WhatCannotBeReadIsAnErrorAndWhatIsNotThereIsNot(t *testing.T) {
	p := parse(t, "a: b1 = create")
	f := startFake(t, 17, hooks{since: func() ([]stack.LogEntry, error) { return nil, errDisk }})
	_, err := newEngine(t, f).Run(t.Context(), p, "t-1", 1)
	require.ErrorIs(t, err, errDisk)
	require.ErrorContains(t, err, "read journal: ")
	require.Zero(t, f.count())

	f = startFake(t, 18, hooks{residue: func() ([]model.Residue, error) { return nil, errDisk }})
	_, err = newEngine(t, f).Run(t.Context(), p, "t-1", 1)
	require.ErrorIs(t, err, errDisk)
	require.ErrorContains(t, err, "search for leftovers: ")

	f = startFake(t, 19, hooks{unlogged: true, unguarded: true})
	h, v := perform(t, f, "a: b1 = create")
	require.Equal(t, model.Pass, v.Status, "%+v", v)
	require.Empty(t, h.Journal.Kind)
	require.False(t, h.Meta.ResidueChecked)
}

func TestRun_OnlyLeftoversOfItsOwnRemovedBoxesCount(t *testing.T) {
	others := []model.Residue{{BoxID: "BoxOfAnother", What: "process 1: sh"}}
	f := startFake(t, 20, hooks{residue: func() ([]model.Residue, error) { return slices.Clone(others), nil }})
	h, v := perform(t, f, "a: b1 = create\na: b2 = create\na: remove b1")
	require.Equal(t, model.Pass, v.Status, "%+v", v)
	require.Empty(t, h.Residue)

	mine := model.Residue{BoxID: "Box000000002", What: "directory /boxes/2"}
	f = startFake(t, 20, hooks{residue: func() ([]model.Residue, error) { return append(slices.Clone(others), mine), nil }})
	f.limits.Converge = 50 * time.Millisecond // what does not go is not waited for
	h, v = perform(t, f, "a: b1 = create\na: b2 = create\na: remove b1")
	require.Contains(t, h.Residue, mine)
	require.NotContains(t, h.Residue, others[0])
	require.Equal(t, model.Violated, v.Status, "%+v", v)
}

// TestRun_TheDestroyLineIsWaitedFor: the runner destroys a box after its removal was answered.
func TestRun_TheDestroyLineIsWaitedFor(t *testing.T) {
	var reads atomic.Int32
	f := startFake(t, 21, hooks{
		mute: func(line string) bool { return strings.Contains(line, "DESTROY_BOX") },
		since: func() ([]stack.LogEntry, error) {
			if reads.Add(1) != 4 {
				return nil, nil
			}
			return []stack.LogEntry{{Time: time.Now(), Message: "Job completed successfully job_id=1 job_type=DESTROY_BOX resource_type=box resource_id=Box000000001"}}, nil
		},
	})
	_, v := perform(t, f, "a: b1 = create")
	require.Equal(t, model.Pass, v.Status, "%+v", v)
	require.EqualValues(t, 4, reads.Load())
}
