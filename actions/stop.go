package actions

import (
	"context"
	"net/http"

	"chaos/model"
	"chaos/stack"
)

type stop struct{}

var _ = register(stop{})

func (stop) Spec() *model.Spec {
	return &model.Spec{Name: "stop", Doc: "stop a box and watch until its status says so", On: 'b', Weight: 4, Way: model.ByJob,
		Args: []model.ArgSpec{giveUp, {Name: "wait", Doc: "no = go on as soon as the stop is accepted", Simpler: []string{"no"}, Check: oneOf("no")}}}
}

func (stop) Ready(b model.Belief) bool { return len(b.Boxes) > 0 }

func (stop) Draw(src model.Source, b model.Belief) model.Step {
	s := model.Step{Action: "stop", On: pickBox(src, b, model.Running)}
	if model.Chance(src, 35) {
		s.Args = args("wait", "no")
	}
	s.Args = drawGiveUp(src, s.Args)
	return s
}

func (stop) Next(b *model.Belief, s model.Step) {
	for _, x := range b.Boxes {
		if x.Ref == s.On && x.State&model.Running != 0 {
			b.SetBox(s.On, model.Stopped)
		}
	}
}

func (stop) Perform(ctx context.Context, env *Env, s model.Step) {
	c := env.call(model.OpStop, s.On)
	env.send(ctx, c, stack.Request{Method: http.MethodPost, Path: stack.BoxPath(c.BoxID, "stop")})
	if c.Outcome != model.OK || s.Args.Get("wait") == "no" {
		return
	}
	until(ctx, env.Limits.Converge, func() bool {
		look := env.Look(ctx, s.On)
		over := look.Outcome != model.OK || len(look.Boxes) == 1 && look.Boxes[0].Status == "stopped"
		return over || env.Rec.StartedSince(env.Life, s.On, c.Invoke)
	})
}
