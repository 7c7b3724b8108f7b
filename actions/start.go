package actions

import (
	"context"
	"net/http"

	"chaos/model"
	"chaos/stack"
)

type start struct{}

var _ = register(start{})

func (start) Spec() *model.Spec {
	return &model.Spec{Name: "start", Doc: "start a box; starting one that runs changes nothing", On: 'b', Weight: 3, Way: model.ByJob, Args: []model.ArgSpec{giveUp}}
}

func (start) Ready(b model.Belief) bool { return len(b.Boxes) > 0 }

func (start) Draw(src model.Source, b model.Belief) model.Step {
	return model.Step{Action: "start", On: pickBox(src, b, model.Stopped), Args: drawGiveUp(src, nil)}
}

func (start) Next(b *model.Belief, s model.Step) {
	for _, x := range b.Boxes {
		if x.Ref == s.On && x.State&model.Stopped != 0 {
			b.SetBox(s.On, model.Running)
		}
	}
}

func (start) Perform(ctx context.Context, env *Env, s model.Step) {
	c := env.call(model.OpStart, s.On)
	env.send(ctx, c, stack.Request{Method: http.MethodPost, Path: stack.BoxPath(c.BoxID, "start")})
}
