package actions

import (
	"context"
	"net/http"

	"chaos/model"
	"chaos/stack"
)

type remove struct{}

var _ = register(remove{})

func (remove) Spec() *model.Spec {
	return &model.Spec{Name: "remove", Doc: "delete a box, running or not", On: 'b', Weight: 2, Way: model.ByJob, Args: []model.ArgSpec{giveUp}}
}

func (remove) Ready(b model.Belief) bool { return len(b.Boxes) > 0 }

func (remove) Draw(src model.Source, b model.Belief) model.Step {
	s := model.Step{Action: "remove", On: pickBox(src, b, model.Running|model.Stopped), Args: drawGiveUp(src, nil)}
	// What a removed box leaves behind shows in the next one of its name.
	if box, ok := pickHolding(src, b, func(x model.BelievedBox) bool {
		return x.Name != "" && x.State&(model.Running|model.Stopped) != 0
	}); ok {
		s.On = box
	}
	return s
}

func (remove) Next(b *model.Belief, s model.Step) {
	for _, x := range b.Boxes {
		if x.Ref == s.On && x.State != model.Absent {
			b.SetBox(s.On, model.Gone)
		}
	}
}

func (remove) Perform(ctx context.Context, env *Env, s model.Step) { env.Remove(ctx, s.On) }

// Remove deletes the box ref and returns the recorded call.
func (e *Env) Remove(ctx context.Context, ref model.Ref) *model.Call {
	c := e.call(model.OpRemove, ref)
	return e.send(ctx, c, stack.Request{Method: http.MethodDelete, Path: stack.BoxPath(c.BoxID) + "?force=true"})
}

// RemoveID deletes a box that is none of the plan's, by its id. Only ever called with ids that
// were listed under a name of this run.
func (e *Env) RemoveID(ctx context.Context, id string) *model.Call {
	c := e.call(model.OpRemove, "")
	c.BoxID, c.Variant = id, "stray"
	return e.send(ctx, c, stack.Request{Method: http.MethodDelete, Path: stack.BoxPath(id) + "?force=true"})
}
