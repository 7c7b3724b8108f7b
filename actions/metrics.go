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
	return &model.Spec{Name: "metrics", Doc: "read the metrics of a box, which must not wake it", On: 'b', Weight: 3, Way: model.ToRunner,
		Args: []model.ArgSpec{{Name: "of", Doc: "org = those of the organization instead", Check: oneOf("org")}}}
}

func (metrics) Ready(b model.Belief) bool { return len(b.Boxes) > 0 }

func (metrics) Draw(src model.Source, b model.Belief) model.Step {
	want := model.AnyState
	if model.Chance(src, 50) {
		want = model.Stopped // the one that a look could wake
	}
	s := model.Step{Action: "metrics", On: pickBox(src, b, want)}
	if model.Chance(src, 25) {
		s.Args = args("of", "org")
	}
	return s
}

func (metrics) Next(*model.Belief, model.Step) {}

func (metrics) Perform(ctx context.Context, env *Env, s model.Step) {
	if s.Args.Has("of") {
		env.OrgMetrics(ctx)
		return
	}
	c := env.call(model.OpMetrics, s.On)
	env.send(ctx, c, stack.Request{Method: http.MethodGet, Path: stack.BoxPath(c.BoxID, "metrics")})
}

// OrgMetrics reads the metrics of the organization and returns the recorded call.
func (e *Env) OrgMetrics(ctx context.Context) *model.Call {
	c := e.call(model.OpMetrics, "")
	c.Variant = "org"
	return e.send(ctx, c, stack.Request{Method: http.MethodGet, Path: "/metrics"})
}
