package actions

import (
	"context"
	"net/http"

	"chaos/model"
	"chaos/stack"
)

type metrics struct{}

var _ = register(metrics{})

func (metrics) Spec() *model.Spec {
	return &model.Spec{Name: "metrics", Doc: "read the metrics of a box, which must not wake it", On: 'b', Weight: 2}
}

func (metrics) Ready(b model.Belief) bool { return len(b.Boxes) > 0 }

func (metrics) Draw(src model.Source, b model.Belief) model.Step {
	return model.Step{Action: "metrics", On: pickBox(src, b, model.AnyState)}
}

func (metrics) Next(*model.Belief, model.Step) {}

func (metrics) Perform(ctx context.Context, env *Env, s model.Step) {
	c := env.call(model.OpMetrics, s.On)
	env.send(ctx, c, stack.Request{Method: http.MethodGet, Path: stack.BoxPath(c.BoxID, "metrics")})
}
