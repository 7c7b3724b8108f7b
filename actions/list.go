package actions

import (
	"context"
	"net/http"

	"chaos/model"
	"chaos/stack"
)

type list struct{}

var _ = register(list{})

func (list) Spec() *model.Spec {
	return &model.Spec{Name: "list", Doc: "list all boxes; those of this plan are judged", Weight: 4}
}

func (list) Ready(b model.Belief) bool { return len(b.Boxes) > 0 }

func (list) Draw(model.Source, model.Belief) model.Step { return model.Step{Action: "list"} }

func (list) Next(*model.Belief, model.Step) {}

func (list) Perform(ctx context.Context, env *Env, _ model.Step) { env.List(ctx) }

// List lists all boxes and returns the recorded call; only this run's boxes are in it.
func (e *Env) List(ctx context.Context) *model.Call {
	return e.send(ctx, e.call(model.OpList, ""), stack.Request{Method: http.MethodGet, Path: "/boxes"})
}
