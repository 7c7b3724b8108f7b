package actions

import (
	"context"
	"net/http"
	"strconv"

	"chaos/model"
	"chaos/stack"
)

type resize struct{}

var _ = register(resize{})

func (resize) Spec() *model.Spec {
	return &model.Spec{Name: "resize", Doc: "change the size of an exec's terminal; without one it must be refused", On: 'e', Weight: 4, Way: model.ToRunner,
		Args: []model.ArgSpec{
			{Name: "cols", Doc: "columns (default 120)", Check: number(2, 500)},
			{Name: "rows", Doc: "rows (default 40)", Check: number(2, 500)},
		}}
}

func (resize) Ready(b model.Belief) bool { return len(b.Execs) > 0 }

func (resize) Draw(src model.Source, b model.Belief) model.Step {
	s := model.Step{Action: "resize", On: pickExec(src, b, func(x model.BelievedExec) bool { return x.TTY && x.Long })}
	if model.Chance(src, 70) {
		s.Args = args("rows", strconv.Itoa(20+src.Intn(40)), "cols", strconv.Itoa(61+src.Intn(80)))
	}
	return s
}

func (resize) Next(*model.Belief, model.Step) {}

func (resize) Perform(ctx context.Context, env *Env, s model.Step) {
	c := env.call(model.OpResize, s.On)
	c.Rows, c.Cols = 40, 120
	if s.Args.Has("rows") {
		c.Rows = s.Args.Int("rows")
	}
	if s.Args.Has("cols") {
		c.Cols = s.Args.Int("cols")
	}
	if _, _, pay := env.Refs.Exec(s.On); pay != nil && !pay.TTY {
		c.Variant = "no-terminal"
	}
	env.send(ctx, c, stack.Request{Method: http.MethodPost, Path: execPath(c, "resize"), Body: map[string]int{"rows": c.Rows, "cols": c.Cols}})
}
