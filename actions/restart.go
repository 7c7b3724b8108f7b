package actions

import (
	"context"

	"chaos/model"
)

type restart struct{}

var _ = register(restart{})

func (restart) Spec() *model.Spec {
	return &model.Spec{Name: "restart", Doc: "stop a box, watch until its status says so, and start it", On: 'b', Weight: 3, Way: model.ByJob}
}

func (restart) Ready(b model.Belief) bool { return len(b.Boxes) > 0 }

func (restart) Draw(src model.Source, b model.Belief) model.Step {
	if box, ok := pickHolding(src, b, func(x model.BelievedBox) bool { return x.State == model.Running }); ok {
		return model.Step{Action: "restart", On: box}
	}
	return model.Step{Action: "restart", On: pickBox(src, b, model.Running)}
}

func (restart) Next(b *model.Belief, s model.Step) {
	stop{}.Next(b, s)
	start{}.Next(b, s)
}

func (restart) Perform(ctx context.Context, env *Env, s model.Step) {
	stop{}.Perform(ctx, env, s)
	start{}.Perform(ctx, env, s)
}
