package model_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/model"
)

func TestExcused_ChangesOnlyWhatAFaultExcuses(t *testing.T) {
	fault := model.Fault{Name: "api-kill", From: 100, To: 200, Excuse: model.Excuse{Answers: true, Sessions: true, Reach: 50}}
	call := func(from, to int64, status int) model.Call {
		out := model.OK
		if status >= 400 {
			out = model.Rejected
		}
		return model.Call{Invoke: from, Return: to, Status: status, Outcome: out}
	}
	h := &model.History{Meta: model.Meta{Faults: []model.Fault{fault}}, Calls: []model.Call{
		call(90, 110, 503), call(10, 99, 503), call(251, 300, 503), call(240, 300, 502), call(150, 160, 500), call(150, 160, 201),
	}}
	got := h.Excused()
	var excused []bool
	for _, c := range got.Calls {
		excused = append(excused, c.Excused != "")
		require.Equal(t, c.Excused != "", c.Outcome == model.Unknown)
	}
	require.Equal(t, []bool{true, false, false, true, false, false}, excused)
	require.Equal(t, 503, h.Calls[0].Status, "the history itself stays as it is")
}

func TestExcused_CutsOpenSessionsOnly(t *testing.T) {
	fault := model.Fault{From: 100, To: 200, Excuse: model.Excuse{Sessions: true}}
	open, whole, later := &model.Attach{TimedOut: true}, &model.Attach{Close: 1000}, &model.Attach{}
	h := &model.History{Meta: model.Meta{Faults: []model.Fault{fault}}, Calls: []model.Call{
		{Invoke: 50, Return: 150, Attach: open}, {Invoke: 50, Return: 150, Attach: whole}, {Invoke: 300, Return: 350, Attach: later},
	}}
	got := h.Excused()
	require.True(t, got.Calls[0].Attach.Cut)
	require.False(t, got.Calls[0].Attach.TimedOut)
	require.False(t, got.Calls[1].Attach.Cut)
	require.False(t, got.Calls[2].Attach.Cut)
	require.False(t, open.Cut, "the history itself stays as it is")
}

func TestExcused_AHandshakeWhoseConnectionWasCut(t *testing.T) {
	h := &model.History{Meta: model.Meta{Messages: []model.Message{{Step: 2, What: model.CutFrame, At: 100}, {Step: 3, What: model.HoldRequest, At: 100}}}, Calls: []model.Call{
		{Step: 2, Op: model.OpAttach, Invoke: 90, Return: 110, Outcome: model.Unknown}, {Step: 2, Op: model.OpExec, Invoke: 90, Return: 110, Outcome: model.Unknown},
		{Step: 2, Op: model.OpAttach, Invoke: 101, Return: 110, Outcome: model.Unknown}, {Step: 3, Op: model.OpAttach, Invoke: 90, Return: 110, Outcome: model.Unknown},
	}}
	for i, c := range h.Excused().Calls {
		require.Equal(t, i == 0, c.Excused != "", "call %d", i)
	}
}

func TestForgets_OnlyWhatWasStartedBefore(t *testing.T) {
	h := &model.History{Meta: model.Meta{Faults: []model.Fault{{From: 100, To: 200, Excuse: model.Excuse{Execs: true}}}}}
	require.NotNil(t, h.Forgets(&model.Call{Invoke: 50}, 150))
	require.NotNil(t, h.Forgets(&model.Call{Invoke: 150}, 300))
	require.Nil(t, h.Forgets(&model.Call{Invoke: 50}, 99), "before the fault")
	require.Nil(t, h.Forgets(&model.Call{Invoke: 201}, 300), "started after it")
}

func TestSchedule_ArgumentsBelongToEveryAction(t *testing.T) {
	s := model.Spec{Name: "list"}
	for _, a := range model.ScheduleArgs() {
		got, ok := s.Arg(a.Name)
		require.True(t, ok, a.Name)
		require.NotEmpty(t, got.Doc)
		for value, fine := range map[string]bool{"5ms": a.Name != model.Rank && a.Name != model.Yield && a.Name != model.CutFrame && a.Name != model.HalfClose, "3": a.Name == model.Rank || a.Name == model.Yield || a.Name == model.CutFrame || a.Name == model.HalfClose, "-1ms": false, "1h": false, "x": false} {
			require.Equal(t, fine, got.Check(value) == nil, "%s=%s", a.Name, value)
		}
	}
	p := model.Plan{Steps: []model.Step{{Action: "list", Args: model.Args{{Key: model.HoldRequest, Value: time.Millisecond.String()}, {Key: "of", Value: "org"}}}}}
	require.True(t, p.Scheduled())
	require.False(t, p.Unscheduled().Scheduled())
	require.Equal(t, "org", p.Unscheduled().Steps[0].Args.Get("of"))
	require.True(t, p.Scheduled(), "the plan itself stays as it is")
}
