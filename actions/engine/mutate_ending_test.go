package engine_test

import (
	"time"

	"chaos/model"
)

func init() { mutations = append(mutations, endMutations...) }

// looked is a look at an exec that was there, undisturbed, and not deleted.
func looked(m *mutant, c *model.Call) bool {
	return c.View != nil && m.calm(c) && m.steady(c, c.Box) && m.start(c.Exec) != nil && m.start(c.Exec).Payload.Timeout == 0
}

// endMutations spoil how execs end.
var endMutations = []mutation{
	{"a code nobody gave in GET", "one-exit", on(func(m *mutant, c *model.Call) bool { return looked(m, c) && c.View.Terminal() },
		func(_ *mutant, c *model.Call) { *c.View.Exit = -1 })},
	{"a killed exec reads success", "one-exit", on(func(m *mutant, c *model.Call) bool {
		return c.View.Terminal() && *c.View.Exit != 0 && m.start(c.Exec).Payload.Exit != 0
	}, func(_ *mutant, c *model.Call) { *c.View.Exit = 0 })},
	{"running again", "exec-status", on(func(m *mutant, c *model.Call) bool {
		return c.View.Terminal() && m.any(func(x *model.Call) bool {
			return x.Exec == c.Exec && x.Attach != nil && hasExit(x.Attach) && x.Return < c.Invoke
		})
	}, func(_ *mutant, c *model.Call) { c.View = &model.ExecView{Status: "running"} })},
	{"an exec forgotten", "exec-status", on(looked, func(_ *mutant, c *model.Call) { answer(c, 404, `{"error":"execution not found: it"}`) })},
	{"a status that is none", "exec-status", on(looked, func(_ *mutant, c *model.Call) { c.View.Status = "done" })},
	{"killed by nobody", "exec-status", on(looked, func(_ *mutant, c *model.Call) { c.View.Status = "killed" })},
	{"an end before its time", "exec-status", on(func(m *mutant, c *model.Call) bool {
		return looked(m, c) && c.View.Status == "running" && time.Duration(c.Return-m.start(c.Exec).Invoke)+20*time.Millisecond < m.start(c.Exec).Payload.Least()
	}, func(m *mutant, c *model.Call) {
		c.View = &model.ExecView{Status: "completed", Exit: &m.start(c.Exec).Payload.Exit}
	})},
	{"no close", "one-exit", onExit(func(a *model.Attach, _ int) { a.Close = 0 })},
	{"an error that nobody caused", "one-exit", onExit(func(a *model.Attach, _ int) {
		a.Frames = append([]model.Frame{{Kind: model.FrameError, Data: []byte("stdin write failed")}}, a.Frames...)
	})},
	{"a first attach refused", "exec-status", on(func(m *mutant, c *model.Call) bool {
		return c.Attach != nil && m.calm(c) && m.steady(c, c.Box) && !m.any(func(x *model.Call) bool { return x.Exec == c.Exec && x.Op == model.OpAttach && x.ID != c.ID })
	}, func(_ *mutant, c *model.Call) { answer(c, 409, `{"error":"execution it already attached"}`) })},
}
