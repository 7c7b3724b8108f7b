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
	return &model.Spec{Name: "kill", Doc: "delete an execution: kill it and forget it", On: 'e', Weight: 3, Way: model.ToRunner}
}

func (kill) Ready(b model.Belief) bool { return len(b.Execs) > 0 }

func (kill) Draw(src model.Source, b model.Belief) model.Step {
	return model.Step{Action: "kill", On: pickExec(src, b, func(x model.BelievedExec) bool { return x.Long })}
}

func (kill) Next(*model.Belief, model.Step) {}

func (kill) Perform(ctx context.Context, env *Env, s model.Step) { env.Kill(ctx, s.On) }

// Kill deletes the execution ref and returns the recorded call.
func (e *Env) Kill(ctx context.Context, ref model.Ref) *model.Call {
	c := e.call(model.OpKill, ref)
	return e.send(ctx, c, stack.Request{Method: http.MethodDelete, Path: execPath(c)})
}
