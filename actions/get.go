package actions

import (
	"context"
	"net/http"

	"chaos/model"
	"chaos/stack"
)

type get struct{}

var _ = register(get{})

func (get) Spec() *model.Spec {
	return &model.Spec{Name: "get", Doc: "look at a box", On: 'b', Weight: 4}
}

func (get) Ready(b model.Belief) bool { return len(b.Boxes) > 0 }

func (get) Draw(src model.Source, b model.Belief) model.Step {
	return model.Step{Action: "get", On: pickBox(src, b, model.AnyState)}
}

func (get) Next(*model.Belief, model.Step) {}

func (get) Perform(ctx context.Context, env *Env, s model.Step) { env.Look(ctx, s.On) }

// Look gets the box ref and returns the recorded call.
func (e *Env) Look(ctx context.Context, ref model.Ref) *model.Call {
	c := e.call(model.OpGet, ref)
	return e.send(ctx, c, stack.Request{Method: http.MethodGet, Path: stack.BoxPath(c.BoxID)})
}
