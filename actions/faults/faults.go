// Package faults breaks parts of the stack, one file a fault, each with its own undo. A fault is a
// step like any other: it is drawn, replays and is shrunk with its plan, and mends what it broke
// before it ends. What it excuses is data, and all else is judged as ever.
package faults

import (
	"context"
	"errors"
	"fmt"
	"time"

	"chaos/actions"
	"chaos/model"
	"chaos/stack"
)

// longest is how long a part may stay broken. It is less than what any promise counts in, so that no
// deadline need be excused.
const longest = 300 * time.Millisecond

// times are what For is drawn from.
var times = []string{"1ms", "3ms", "10ms", "30ms", "100ms", "250ms"}

// fault is one way to break a part for a while.
type fault struct {
	name, doc string
	lasts     bool // takes for=
	excuse    model.Excuse
	hit       func(ctx context.Context, c stack.Control) error
	undo      func(ctx context.Context, c stack.Control) error // nil = it undoes itself
}

var _ actions.Action = fault{}

func (f fault) Spec() *model.Spec {
	s := &model.Spec{Name: f.name, Doc: f.doc, Fault: true, Excuse: f.excuse, Weight: 1}
	if f.lasts {
		s.Args = []model.ArgSpec{{Name: "for", Doc: "how long (default 1ms)", Check: func(v string) error {
			if d, err := time.ParseDuration(v); err != nil || d <= 0 || d > longest {
				return fmt.Errorf("want a duration up to %s, like 10ms", longest)
			}
			return nil
		}}}
	}
	return s
}

func (f fault) Ready(b model.Belief) bool { return len(b.Boxes) > 0 }

func (f fault) Draw(src model.Source, _ model.Belief) model.Step {
	s := model.Step{Action: f.name}
	if f.lasts {
		s.Args = s.Args.With("for", model.Pick(src, times))
	}
	return s
}

func (fault) Next(*model.Belief, model.Step) {}

// undoLimit bounds mending, which also happens when the plan's time is over.
const undoLimit = 20 * time.Second

func (f fault) Perform(ctx context.Context, env *actions.Env, s model.Step) {
	if env.Control == nil {
		return
	}
	mended := env.Rec.Fault(env.Index, f.name, f.excuse)
	err := f.hit(ctx, env.Control)
	if f.lasts {
		actions.Pause(ctx, max(s.Args.Duration("for"), time.Millisecond))
	}
	if f.undo != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoLimit)
		defer cancel()
		err = errors.Join(err, f.undo(ctx, env.Control))
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil // broken off before it was done; the engine mends all that is not whole
	}
	mended(err)
}

// What the loss of a part excuses.
var (
	// lostAPI: connections to it end, and that is all: what it knows it still knows when it is back.
	lostAPI = model.Excuse{Answers: true, Sessions: true, Down: true, Reach: 2 * time.Second}
	// lostRunner: the same, and it forgets its executions and counts its boxes' work anew (#893).
	lostRunner = model.Excuse{Answers: true, Sessions: true, Execs: true, Counters: true, Reach: 2 * time.Second}
	// killedRunner: it may also have been about to log what it had just done.
	killedRunner = model.Excuse{Answers: true, Sessions: true, Execs: true, Counters: true, Log: true, Reach: 2 * time.Second}
	// held: nothing is lost, it only takes longer, and less than any promise counts in.
	held = model.Excuse{}
)

func kill(part stack.Part) func(context.Context, stack.Control) error {
	return func(ctx context.Context, c stack.Control) error { return c.Kill(ctx, part) }
}

func stop(part stack.Part) func(context.Context, stack.Control) error {
	return func(ctx context.Context, c stack.Control) error { return c.Stop(ctx, part) }
}

func start(part stack.Part) func(context.Context, stack.Control) error {
	return func(ctx context.Context, c stack.Control) error { return c.Start(ctx, part) }
}

func freeze(part stack.Part) func(context.Context, stack.Control) error {
	return func(ctx context.Context, c stack.Control) error { return c.Freeze(ctx, part) }
}

func thaw(part stack.Part) func(context.Context, stack.Control) error {
	return func(ctx context.Context, c stack.Control) error { return c.Thaw(ctx, part) }
}
