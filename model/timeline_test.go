package model_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/model"
)

// history builds a history of box b1 from calls; ids follow the order.
func history(calls ...model.Call) *model.History {
	for i := range calls {
		calls[i].ID = i
		if calls[i].Op != model.OpList {
			calls[i].Box = "b1"
		}
		if calls[i].Outcome == "" {
			calls[i].Outcome = model.OK
		}
		for j := range calls[i].Boxes {
			calls[i].Boxes[j].Ref = "b1"
		}
	}
	return &model.History{Calls: calls}
}

func call(op string, invoke, ret int64) model.Call {
	return model.Call{Op: op, Invoke: invoke, Return: ret}
}

func shows(op string, invoke, ret int64, status string) model.Call {
	c := call(op, invoke, ret)
	if status != "" {
		c.Boxes = []model.BoxView{{Status: status}}
	} else if op == model.OpGet {
		c.Outcome, c.Status = model.Rejected, 404
	}
	return c
}

func outcome(c model.Call, o model.Outcome) model.Call { c.Outcome = o; return c }

func TestTimeline_SequentialLifeIsKnownExactly(t *testing.T) {
	h := history(call(model.OpGet, 0, 1), call(model.OpCreate, 10, 20), shows(model.OpGet, 21, 22, "running"), call(model.OpStop, 30, 40),
		shows(model.OpGet, 50, 60, "stopped"), call(model.OpExec, 61, 62), call(model.OpStart, 70, 80), call(model.OpExec, 81, 82), call(model.OpRemove, 90, 100), call(model.OpExec, 101, 102))
	h.Calls[0] = shows(model.OpGet, 0, 1, "")
	h.Calls[0].Box = "b1"
	tl := model.NewTimeline(h, "b1", model.Cloud().Lifecycle(), nil)
	require.Empty(t, tl.Contradictions)
	want := map[int]model.State{2: model.Running, 3: model.Running, 5: model.Stopped, 6: model.Stopped, 7: model.Running, 8: model.Running, 9: model.Gone}
	for id, state := range want {
		require.Equal(t, state, tl.During(&h.Calls[id]), "call %d (%s)", id, h.Calls[id].Op)
	}
	require.Equal(t, model.Gone, tl.End())
	require.Equal(t, model.Running, tl.Over(20, 29))
	require.Equal(t, model.Stopped, tl.Over(60, 69))
}

func TestTimeline_OverlapWidensAndAnswersNarrow(t *testing.T) {
	// The exec overlaps a stop that is accepted and a remove that is refused.
	h := history(call(model.OpCreate, 0, 10), call(model.OpStop, 20, 30), outcome(call(model.OpRemove, 20, 30), model.Rejected), call(model.OpExec, 22, 28))
	tl := model.NewTimeline(h, "b1", model.Cloud().Lifecycle(), nil)
	require.Equal(t, model.Running|model.Stopping|model.Stopped, tl.During(&h.Calls[3]), "a refused remove never took effect")
	require.Equal(t, model.Stopping|model.Stopped, tl.End())
}

func TestTimeline_OwnEffectIsNotWhatACallSaw(t *testing.T) {
	h := history(call(model.OpCreate, 0, 10), outcome(call(model.OpStop, 20, 30), model.Rejected))
	require.Equal(t, model.Running, model.NewTimeline(h, "b1", model.Cloud().Lifecycle(), nil).During(&h.Calls[1]))
}

func TestTimeline_UnknownMayTakeEffectAnyTimeLater(t *testing.T) {
	h := history(call(model.OpCreate, 0, 10), outcome(call(model.OpRemove, 20, 30), model.Unknown), call(model.OpExec, 1000, 1001))
	tl := model.NewTimeline(h, "b1", model.Cloud().Lifecycle(), nil)
	require.NotZero(t, tl.During(&h.Calls[2])&model.Gone)
	require.NotZero(t, tl.During(&h.Calls[2])&model.Running)
}

func TestTimeline_Contradictions(t *testing.T) {
	for what, tc := range map[string]struct {
		calls []model.Call
		bad   int
	}{
		"runs again after it was seen stopped": {[]model.Call{call(model.OpCreate, 0, 10), call(model.OpStop, 20, 30), shows(model.OpGet, 40, 50, "stopped"), shows(model.OpGet, 60, 70, "running")}, 3},
		"listed after its removal":             {[]model.Call{call(model.OpCreate, 0, 10), call(model.OpRemove, 20, 30), shows(model.OpList, 40, 50, "running")}, 2},
		"missing from the list":                {[]model.Call{call(model.OpCreate, 0, 10), shows(model.OpList, 40, 50, "")}, 1},
		"there after its removal":              {[]model.Call{call(model.OpCreate, 0, 10), call(model.OpRemove, 20, 30), shows(model.OpGet, 40, 50, "stopping")}, 2},
		"gone though nobody removed it":        {[]model.Call{call(model.OpCreate, 0, 10), shows(model.OpGet, 40, 50, "")}, 1},
	} {
		h := history(tc.calls...)
		tl := model.NewTimeline(h, "b1", model.Cloud().Lifecycle(), nil)
		require.Len(t, tl.Contradictions, 1, what)
		require.Equal(t, tc.bad, tl.Contradictions[0].Call.ID, what)
	}
}

func TestTimeline_LegalRacesAreNoContradiction(t *testing.T) {
	for what, calls := range map[string][]model.Call{
		"a look during a removal, either way": {call(model.OpCreate, 0, 10), call(model.OpRemove, 20, 30), shows(model.OpGet, 22, 25, ""), shows(model.OpGet, 21, 28, "running")},
		"still running right after a stop":    {call(model.OpCreate, 0, 10), call(model.OpStop, 20, 30), shows(model.OpGet, 40, 50, "running"), shows(model.OpList, 60, 70, "stopped")},
		"stopped while it starts":             {call(model.OpCreate, 0, 10), call(model.OpStop, 20, 30), shows(model.OpGet, 40, 50, "stopped"), call(model.OpStart, 60, 90), shows(model.OpGet, 70, 75, "stopped")},
	} {
		require.Empty(t, model.NewTimeline(history(calls...), "b1", model.Cloud().Lifecycle(), nil).Contradictions, what)
	}
}

func TestTimeline_TooManyCallsAtOnceConcludesNothing(t *testing.T) {
	calls := []model.Call{call(model.OpCreate, 0, 10)}
	for range 20 {
		calls = append(calls, call(model.OpStop, 20, 30))
	}
	h := history(append(calls, shows(model.OpGet, 40, 50, "configured"))...)
	tl := model.NewTimeline(h, "b1", model.Cloud().Lifecycle(), nil)
	require.Empty(t, tl.Contradictions)
	require.Equal(t, model.AnyState, tl.During(&h.Calls[3]))
}

// TestTimeline_AnAnswerIsFromBeforeItCame holds a server error whose effect may come later: what the
// box is then has nothing to do with the answer.
func TestTimeline_AnAnswerIsFromBeforeItCame(t *testing.T) {
	failed := outcome(call(model.OpExec, 61, 62), model.Rejected)
	failed.Status = 500
	silent := outcome(call(model.OpExec, 61, 62), model.Unknown)
	h := history(call(model.OpCreate, 10, 20), call(model.OpStop, 30, 40), shows(model.OpGet, 50, 60, "stopped"), failed, silent, call(model.OpRemove, 90, 100))
	h.Meta.Limits = model.Limits{Call: 1000, Converge: 1000}
	tl := model.NewTimeline(h, "b1", model.Cloud().Lifecycle(), nil)
	require.Empty(t, tl.Contradictions)
	require.Equal(t, model.Stopped, tl.During(&h.Calls[3]))
	require.NotZero(t, tl.During(&h.Calls[4])&model.Gone, "without an answer it may still do something")
}
