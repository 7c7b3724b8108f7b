package actions

import (
	"context"

	"chaos/model"
)

type info struct{}

var _ = register(info{})

func (info) Spec() *model.Spec {
	return &model.Spec{Name: "info", Doc: "look at an execution", On: 'e', Weight: 3, Way: model.ToRunner}
}

func (info) Ready(b model.Belief) bool { return len(b.Execs) > 0 }

func (info) Draw(src model.Source, b model.Belief) model.Step {
	return model.Step{Action: "info", On: pickExec(src, b, func(model.BelievedExec) bool { return true })}
}

func (info) Next(*model.Belief, model.Step) {}

func (info) Perform(ctx context.Context, env *Env, s model.Step) { env.Info(ctx, s.On) }
