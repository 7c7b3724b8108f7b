package actions

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"chaos/model"
	"chaos/stack"
)

type attach struct{}

var _ = register(attach{})

func (attach) Spec() *model.Spec {
	return &model.Spec{Name: "attach", Doc: "attach to an exec again, or for the first time, and read to the end", On: 'e', Weight: 5, Way: model.Session,
		Args: []model.ArgSpec{
			{Name: "again", Doc: "poll = when refused with 409, try again until the slot must be free", Check: oneOf("poll")},
			{Name: "cut", Doc: "drop the connection after this many frames of output", Check: number(1, 100)},
			{Name: "ro", Doc: "yes = read-only (?stdin=0)", Check: oneOf("yes")},
			{Name: "slow", Doc: "read nothing for this long", Check: duration(maxSlow)},
		}}
}

func (attach) Ready(b model.Belief) bool { return len(b.Execs) > 0 }

func (attach) Draw(src model.Source, b model.Belief) model.Step {
	want := func(x model.BelievedExec) bool { return x.Detached || x.Cut }
	if model.Chance(src, 30) {
		want = func(x model.BelievedExec) bool { return x.Long } // somebody reads it
	}
	s := model.Step{Action: "attach", On: pickExec(src, b, want)}
	if model.Chance(src, 15) {
		s.Args = args("cut", strconv.Itoa(1+src.Intn(3)))
	}
	if model.Chance(src, 15) {
		s.Args = s.Args.With("ro", "yes")
	}
	on := b.ExecsWhere(func(x model.BelievedExec) bool { return x.Ref == s.On })[0]
	if poll := map[bool]int{true: 55, false: 30}[on.Cut]; model.Chance(src, poll) {
		s.Args = s.Args.With("again", "poll")
	}
	if on.Bulk && model.Chance(src, 60) {
		s.Args = s.Args.With("slow", drawSlow(src))
	} else if model.Chance(src, 2) {
		s.Args = s.Args.With("slow", "20ms")
	}
	return s
}

func (attach) Next(*model.Belief, model.Step) {}

func (attach) Perform(ctx context.Context, env *Env, s model.Step) {
	how := attachStep{cut: s.Args.Int("cut"), readOnly: s.Args.Has("ro"), slow: s.Args.Duration("slow")}
	c := env.attach(ctx, s.On, how)
	if s.Args.Get("again") == "poll" && c.Status == http.StatusConflict {
		// Somewhat longer than the limit: the last try must come after it.
		until(ctx, env.Limits.Slot*5/4, func() bool {
			c = env.attach(ctx, s.On, how)
			return c.Status != http.StatusConflict
		})
	}
	if exited(c) {
		env.Info(ctx, s.On)
	}
}

func exited(c *model.Call) bool {
	if c.Attach == nil {
		return false
	}
	_, ok := c.Attach.Exit()
	return ok
}

type attachStep struct {
	cut      int
	readOnly bool
	slow     time.Duration
}

// sendTime is what sending the input may add to the time an exec takes.
const sendTime = time.Second

// attach opens an attach session, reads it to its end and returns the recorded call.
func (e *Env) attach(ctx context.Context, ref model.Ref, how attachStep) *model.Call {
	c := e.call(model.OpAttach, ref)
	c.ReadOnly = how.readOnly
	_, _, pay := e.Refs.Exec(ref)
	opt := stack.AttachOptions{ReadOnly: how.readOnly, CutAfter: how.cut, Slow: how.slow, Now: e.Rec.Now}
	limit := e.Limits.Resolve + how.slow
	if pay != nil {
		limit += pay.Within(e.Limits.Grace)
	}
	if pay != nil && pay.Stdin > 0 {
		limit += sendTime
		if !how.readOnly {
			opt.Input = func() []byte { return e.Refs.feed(ref) }
		}
	}
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	e.Rec.begin(c)
	a, res, err := e.Client.Attach(bounded, c.BoxID, c.ExecID, opt)
	e.answer(c, res, err)
	if a != nil && a.TimedOut && ctx.Err() != nil {
		// The plan ended before the exec had its time: we cut the session, it was not silent too long.
		a.TimedOut, a.Cut = false, true
	}
	c.Attach = a
	e.Rec.end(c)
	return c
}
