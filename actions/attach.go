package actions

import (
	"context"
	"strconv"

	"chaos/model"
)

type attach struct{}

var _ = register(attach{})

func (attach) Spec() *model.Spec {
	return &model.Spec{Name: "attach", Doc: "attach to an exec again, or for the first time, and read to the end", On: 'e', Weight: 5,
		Args: []model.ArgSpec{
			{Name: "cut", Doc: "drop the connection after this many frames of output", Check: number(1, 100)},
			{Name: "ro", Doc: "yes = read-only (?stdin=0)", Check: oneOf("yes")},
		}}
}

func (attach) Ready(b model.Belief) bool { return len(b.Execs) > 0 }

func (attach) Draw(src model.Source, b model.Belief) model.Step {
	s := model.Step{Action: "attach", On: pickExec(src, b, func(x model.BelievedExec) bool { return x.Detached || x.Cut })}
	if model.Chance(src, 15) {
		s.Args = args("cut", strconv.Itoa(1+src.Intn(3)))
	}
	if model.Chance(src, 15) {
		s.Args = s.Args.With("ro", "yes")
	}
	return s
}

func (attach) Next(*model.Belief, model.Step) {}

func (attach) Perform(ctx context.Context, env *Env, s model.Step) {
	if env.attach(ctx, s.On, attachStep{cut: s.Args.Int("cut"), readOnly: s.Args.Has("ro")}) {
		env.Info(ctx, s.On)
	}
}
