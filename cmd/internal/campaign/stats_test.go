package campaign

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/model"
)

func call(client, box string, invoke, ret int64) model.Call {
	return model.Call{Client: client, Box: model.Ref(box), Op: model.OpGet, Invoke: invoke, Return: ret, Outcome: model.OK, Status: 200}
}

func TestStats_Overlap(t *testing.T) {
	harness := call("", "b1", 0, 100)
	harness.Step = model.Harness
	for name, c := range map[string]struct {
		calls            []model.Call
		overlapping, all int
	}{
		"nothing":                         {nil, 0, 0},
		"one after the other":             {[]model.Call{call("a", "b1", 0, 10), call("b", "b1", 11, 20)}, 0, 2},
		"at the same time":                {[]model.Call{call("a", "b1", 0, 10), call("b", "b1", 5, 20)}, 2, 2},
		"one within the other":            {[]model.Call{call("a", "b1", 0, 100), call("b", "b1", 5, 6)}, 2, 2},
		"touching":                        {[]model.Call{call("a", "b1", 0, 10), call("b", "b1", 10, 20)}, 2, 2},
		"on different boxes":              {[]model.Call{call("a", "b1", 0, 10), call("b", "b2", 0, 10)}, 0, 2},
		"of one client":                   {[]model.Call{call("a", "b1", 0, 10), call("a", "b1", 5, 20)}, 0, 2},
		"a long one counts once":          {[]model.Call{call("a", "b1", 0, 100), call("b", "b1", 5, 6), call("c", "b1", 50, 60)}, 3, 3},
		"with the harness":                {[]model.Call{harness, call("a", "b1", 0, 10)}, 0, 1},
		"calls that are not about a box":  {[]model.Call{call("a", "", 0, 10), call("b", "", 0, 10)}, 0, 0},
		"some of them, on one box of two": {[]model.Call{call("a", "b1", 0, 10), call("b", "b1", 5, 9), call("c", "b2", 0, 10), call("a", "b2", 11, 12)}, 2, 4},
	} {
		t.Run(name, func(t *testing.T) {
			var s Stats
			s.Add(&model.History{Calls: c.calls}, model.Verdict{Status: model.Pass})
			got := s.Snapshot()
			require.Equal(t, c.overlapping, got.Overlapping)
			require.Equal(t, c.all, got.BoxCalls)
			share := 0.0
			if c.all > 0 {
				share = float64(c.overlapping) / float64(c.all)
			}
			require.InDelta(t, share, got.Overlap(), 1e-9)
		})
	}
}

func TestStats_Counts(t *testing.T) {
	exec := model.Call{Op: model.OpExec, Outcome: model.OK}
	refused := model.Call{Op: model.OpExec, Outcome: model.Rejected}
	lost := model.Call{Op: model.OpStop, Outcome: model.Unknown}
	attach := model.Call{Op: model.OpAttach, Outcome: model.OK, Attach: &model.Attach{Frames: []model.Frame{
		{Kind: model.FrameOut, Data: []byte("12345")}, {Kind: model.FrameErr, Data: []byte("123")}, {Kind: model.FrameExit},
	}}}
	h := &model.History{Plan: model.Plan{Steps: make([]model.Step, 6)}, Calls: []model.Call{exec, refused, lost, attach}, Meta: model.Meta{Stalled: time.Second}}
	var s Stats
	s.Add(h, model.Verdict{Status: model.Pass})
	s.Add(h, model.Verdict{Status: model.Violated})
	s.Add(&model.History{Meta: model.Meta{Stalled: time.Millisecond}}, model.Verdict{Status: model.Inconclusive, Unjudged: []string{"stalled", "no journal"}})
	s.Add(&model.History{}, model.Verdict{Status: model.Inconclusive, Unjudged: []string{"stalled"}})
	require.Equal(t, Counts{
		Plans: 4, Steps: 12, Calls: 8, Execs: 2, OutputBytes: 16, Unknown: 2, Violated: 1, Inconclusive: 2, LongestStall: time.Second,
		Unjudged: map[string]int{"stalled": 2, "no journal": 1},
		Ops:      map[string]int{model.OpExec: 4, model.OpStop: 2, model.OpAttach: 2},
	}, s.Snapshot())
}

func TestStats_SnapshotIsACopy(t *testing.T) {
	var s Stats
	require.Empty(t, s.Snapshot().Ops)
	h := &model.History{Calls: []model.Call{{Op: model.OpList}}}
	v := model.Verdict{Status: model.Inconclusive, Unjudged: []string{"why"}}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				s.Add(h, v)
				c := s.Snapshot()
				c.Ops[model.OpList], c.Unjudged["why"] = -1, -1
			}
		})
	}
	wg.Wait()
	require.Equal(t, 400, s.Snapshot().Ops[model.OpList])
	require.Equal(t, 400, s.Snapshot().Unjudged["why"])
}
