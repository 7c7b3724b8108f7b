package actions

import (
	"context"
	"net/http"
	"strconv"

	"chaos/model"
	"chaos/stack"
)

type signal struct{}

var _ = register(signal{})

func (signal) Spec() *model.Spec {
	return &model.Spec{Name: "signal", Doc: "send a signal to an exec", On: 'e', Weight: 3, Way: model.ToRunner,
		Args: []model.ArgSpec{{Name: "sig", Doc: "number (default 15); 9, 17, 19 and 99 must be refused", Check: number(1, 99)}}}
}

func (signal) Ready(b model.Belief) bool { return len(b.Execs) > 0 }

func (signal) Draw(src model.Source, b model.Belief) model.Step {
	s := model.Step{Action: "signal", On: pickExec(src, b, func(x model.BelievedExec) bool { return x.Long })}
	if n := model.Pick(src, []int{15, 15, 15, 1, 2, 9, 19, 99}); n != 15 {
		s.Args = args("sig", strconv.Itoa(n))
	}
	return s
}

func (signal) Next(*model.Belief, model.Step) {}

// allowedSignals is the white list of the contract; every other number is the caller's mistake,
// and that is said before anything is looked up.
var allowedSignals = map[int]bool{1: true, 2: true, 3: true, 6: true, 10: true, 12: true, 15: true, 28: true}

func (signal) Perform(ctx context.Context, env *Env, s model.Step) {
	c := env.call(model.OpSignal, s.On)
	c.Signal = 15
	if s.Args.Has("sig") {
		c.Signal = s.Args.Int("sig")
	}
	if !allowedSignals[c.Signal] {
		c.Variant = "not-allowed"
	}
	env.send(ctx, c, stack.Request{Method: http.MethodPost, Path: execPath(c, "signal"), Body: map[string]int{"signal": c.Signal}})
}
