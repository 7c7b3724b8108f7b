package actions

import (
	"context"
	"net/http"

	"chaos/model"
)

type probeExec struct{}

var _ = register(probeExec{})

var execIntrusions = []intrusion{
	{name: "info", method: http.MethodGet, path: execRoute()},
	{name: "attach", shake: true},
	{name: "kill", method: http.MethodDelete, path: execRoute()},
	{name: "resize", method: http.MethodPost, path: execRoute("resize"), body: always(map[string]any{"rows": 40, "cols": 120})},
	{name: "signal", method: http.MethodPost, path: execRoute("signal"), body: always(map[string]any{"signal": 15})},
}

func (probeExec) Spec() *model.Spec {
	return &model.Spec{Name: "probe-exec", Doc: "try a route of an execution without the right to", On: 'e', Weight: 1,
		Args: []model.ArgSpec{
			{Name: "route", Doc: "info, attach, kill, resize or signal (default info)", Check: oneOf(names(execIntrusions)...)},
			tokenArg(),
		}}
}

func (probeExec) Ready(b model.Belief) bool { return len(b.Execs) > 0 }

func (probeExec) Draw(src model.Source, b model.Belief) model.Step {
	s := model.Step{Action: "probe-exec", On: pickExec(src, b, func(x model.BelievedExec) bool { return x.Long || x.Detached })}
	s.Args = drawIntrusion(src, execIntrusions)
	return s
}

func (probeExec) Next(*model.Belief, model.Step) {}

func (probeExec) Perform(ctx context.Context, env *Env, s model.Step) {
	env.intrude(ctx, execIntrusions, s)
}
