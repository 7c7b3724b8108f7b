package actions

import (
	"context"
	"net/http"

	"chaos/model"
	"chaos/stack"
)

type kill struct{}

var _ = register(kill{})

func (kill) Spec() *model.Spec {
	return &model.Spec{Name: "kill", Doc: "delete an execution: kill it and forget it", On: 'e', Weight: 3}
}

func (kill) Ready(b model.Belief) bool { return len(b.Execs) > 0 }

func (kill) Draw(src model.Source, b model.Belief) model.Step {
	return model.Step{Action: "kill", On: pickExec(src, b, func(x model.BelievedExec) bool { return x.Long })}
}

func (kill) Next(*model.Belief, model.Step) {}

func (kill) Perform(ctx context.Context, env *Env, s model.Step) {
	c := env.call(model.OpKill, s.On)
	env.send(ctx, c, stack.Request{Method: http.MethodDelete, Path: execPath(c)})
}
