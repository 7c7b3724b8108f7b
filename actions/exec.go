package actions

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"chaos/model"
	"chaos/stack"
)

type exec struct{}

var _ = register(exec{})

const (
	keptLines = 5000    // about 200 KiB of 41-byte lines a stream, inside the 256 KiB a server must keep
	maxLines  = 200_000 // about 8 MB: what nobody reads in time is lost
	maxStdin  = 2000    // comes back with a line of the exec's own each, still inside the 256 KiB
	maxSleep  = 2 * time.Second
	maxSlow   = 10 * time.Second
)

func (exec) Spec() *model.Spec {
	return &model.Spec{
		Name: "exec", Doc: "run a command that writes numbered lines, attach, read to the end, compare", On: 'b', Binds: 'e', Weight: 14, Way: model.Session,
		Args: []model.ArgSpec{
			{Name: "attach", Doc: "no = only start it; attach steps may follow", Check: oneOf("no")},
			{Name: "bin", Doc: "missing = a program that is not there", Check: oneOf("missing")},
			{Name: "child", Doc: "yes = leave a child behind that keeps the streams open", Check: oneOf("yes")},
			{Name: "cut", Doc: "drop the attach connection after this many frames of output", Check: number(1, 100)},
			{Name: "cwd", Doc: "working directory: usr, etc, or bad for one that is not there", Check: oneOf("usr", "etc", "bad")},
			{Name: "deaf", Doc: "yes = ignore signal 15", Check: oneOf("yes")},
			{Name: "env", Doc: "yes = pass environment variables and print all that execs pass", Check: oneOf("yes")},
			{Name: "exit", Doc: "exit code (default 0)", Check: number(1, 255)},
			giveUp,
			{Name: "hang", Doc: "yes = with a timeout: pause for a minute, so that only the timeout ends it", Check: oneOf("yes")},
			{Name: "read", Doc: "tell what is in this file of the box, f1 or f2, and which children of execs are alive", Check: oneOf(model.Files...)},
			{Name: "sleep", Doc: "pause after half of the lines", Check: duration(maxSleep)},
			{Name: "slow", Doc: "attach and read nothing for this long; over 5000 lines the rest may be lost", Check: duration(maxSlow)},
			{Name: "stderr", Doc: "lines on stderr", Simpler: []string{"1"}, Check: number(1, maxLines)},
			{Name: "stdin", Doc: "lines that the client sends, and the command repeats (not with attach=no or tty=yes)", Simpler: []string{"1"}, Check: number(1, maxStdin)},
			{Name: "stdout", Doc: "lines on stdout", Simpler: []string{"1"}, Check: number(1, maxLines)},
			{Name: "timeout", Doc: "time limit of the command", Check: timeLimit},
			{Name: "tty", Doc: "yes = with a terminal", Check: oneOf("yes")},
			{Name: "utf8", Doc: "yes = lines end in characters of several bytes each", Check: oneOf("yes")},
			{Name: "watch", Doc: "with a terminal: print its size and each change of it for this long", Check: duration(maxSleep)},
			{Name: "write", Doc: "first write this file of the box, to stay: f1 or f2", Check: oneOf(model.Files...)},
		},
	}
}

func (exec) Ready(b model.Belief) bool { return len(b.Boxes) > 0 }

func (exec) Draw(src model.Source, b model.Belief) model.Step {
	s := model.Step{Action: "exec", Bind: b.NextExec(), On: pickBox(src, b, model.Running)}
	switch roll := src.Intn(100); {
	case roll < 5:
		s.Args = args("bin", "missing")
		return s
	case roll < 8:
		s.Args = args("cwd", "bad")
		return s
	case roll < 24:
		s.Args = drawTTY(src)
	case roll < 32:
		s.Args = drawKept(src, b, s.On, nil)
		return s
	case roll < 36:
		s.Args = drawBulk(src)
		return s
	default:
		s.Args = drawPiped(src)
	}
	s.Args = drawEnding(src, s.Args)
	if model.Chance(src, 15) {
		s.Args = s.Args.With("attach", "no")
	} else if model.Chance(src, 15) {
		s.Args = s.Args.With("cut", strconv.Itoa(1+src.Intn(3)))
	}
	if model.Chance(src, 2) {
		s.Args = s.Args.With("slow", "50ms")
	}
	if model.Chance(src, 10) {
		s.Args = s.Args.With("cwd", model.Pick(src, []string{"usr", "etc"}))
	}
	if model.Chance(src, 12) {
		s.Args = s.Args.With("env", "yes")
	}
	if model.Chance(src, 25) {
		s.Args = s.Args.With("exit", strconv.Itoa(model.Pick(src, []int{1, 2, 42, 126, 127, 255})))
	}
	if !s.Args.Has("tty") && !s.Args.Has("attach") && aboutKept(src, b, s.On) {
		s.Args = drawKept(src, b, s.On, s.Args)
	}
	s.Args = drawGiveUp(src, s.Args)
	return s
}

// lineCounts leans to short output: a fast exec is where exits overtake streams.
var lineCounts = []int{1, 1, 2, 5, 8, 20, 50, 200, 1000, keptLines}

func drawPiped(src model.Source) model.Args {
	var a model.Args
	which := src.Intn(4)
	if which != 1 {
		a = a.With("stdout", strconv.Itoa(model.Pick(src, lineCounts)))
	}
	if which == 1 || which == 2 {
		a = a.With("stderr", strconv.Itoa(model.Pick(src, lineCounts)))
	}
	if model.Chance(src, 45) {
		a = a.With("sleep", drawSleep(src))
	}
	if model.Chance(src, 10) {
		a = a.With("child", "yes")
	}
	if model.Chance(src, 7) {
		a = a.With("stdin", strconv.Itoa(model.Pick(src, []int{1, 2, 5, 50, 200, 1000, maxStdin})))
		if model.Chance(src, 70) { // most of what is kept is for the report
			a = a.With("stdout", "")
		}
	}
	if model.Chance(src, 7) {
		a = a.With("utf8", "yes")
	}
	return a
}

// drawBulk draws output of more than a server keeps, which nobody reads or reads late. The longest
// waits are rare: only they are long enough for a neighbour to miss its deadline.
func drawBulk(src model.Source) model.Args {
	a := args("stdout", strconv.Itoa(model.Pick(src, []int{20_000, 50_000, 50_000, 100_000, maxLines})))
	if model.Chance(src, 20) {
		a = a.With("stderr", strconv.Itoa(model.Pick(src, []int{20, 10_000, 50_000})))
	}
	if model.Chance(src, 25) {
		return a.With("attach", "no")
	}
	return a.With("slow", drawSlow(src))
}

func drawSlow(src model.Source) string {
	return model.Pick(src, []string{"50ms", "50ms", "100ms", "300ms", "6s"})
}

func drawSleep(src model.Source) string {
	return model.Pick(src, []string{"5ms", "20ms", "50ms", "100ms", "200ms"})
}

func drawTTY(src model.Source) model.Args {
	a := args("tty", "yes")
	if model.Chance(src, 60) {
		return a.With("watch", model.Pick(src, []string{"100ms", "200ms", "300ms"}))
	}
	return a.With("stdout", strconv.Itoa(model.Pick(src, lineCounts[:7]))).With("sleep", drawSleep(src))
}

func (exec) Next(b *model.Belief, s model.Step) {
	b.Execs = append(b.Execs, model.BelievedExec{
		Ref: s.Bind, Box: s.On, TTY: s.Args.Has("tty"),
		Long:     s.Args.Duration("sleep") >= 50*time.Millisecond || s.Args.Has("watch") || s.Args.Has("hang"),
		Bulk:     max(s.Args.Int("stdout"), s.Args.Int("stderr")) > keptLines,
		Detached: s.Args.Has("attach"), Cut: s.Args.Has("cut"), Writes: s.Args.Get("write"), Child: s.Args.Has("child"),
	})
}

// payload returns what the step runs. The token is made from the run and the step, so it is the
// same however often the history is judged, and nobody else's.
func payload(token string, s model.Step) model.Payload {
	p := model.Payload{
		Token: token + "." + string(s.Bind), Stdout: s.Args.Int("stdout"), Stderr: s.Args.Int("stderr"), Exit: s.Args.Int("exit"),
		Sleep: s.Args.Duration("sleep"), Child: s.Args.Has("child"), Env: s.Args.Has("env"), TTY: s.Args.Has("tty"), Watch: s.Args.Duration("watch"),
		Write: s.Args.Get("write"), Read: s.Args.Get("read"),
		Stdin: s.Args.Int("stdin"), UTF8: s.Args.Has("utf8"),
	}
	if p.TTY {
		p.Stderr = 0
	} else {
		p.Watch = 0
	}
	if p.TTY || s.Args.Get("attach") == "no" {
		p.Stdin = 0 // a terminal echoes; and without a session nothing ends the input
	}
	p = withEnding(p, s.Args)
	switch s.Args.Get("cwd") {
	case "usr", "etc":
		// Directories that every box has under this very name, also one without a root of its own. Execs
		// with files have their own.
		if p.WorkDir() == "" {
			p.Dir = "/" + s.Args.Get("cwd")
		}
	case "bad":
		p.Dir = "/chaos/no/such/directory"
	}
	if s.Args.Get("bin") == "missing" {
		p.Binary = "chaos-no-such-program"
	}
	return p
}

func (exec) Perform(ctx context.Context, env *Env, s model.Step) {
	pay := payload(env.Refs.Token(), s)
	c := env.call(model.OpExec, s.On)
	c.Exec, c.Payload = s.Bind, &pay
	switch {
	case pay.Binary != "":
		c.Variant = "missing-binary"
	case s.Args.Get("cwd") == "bad":
		c.Variant = "bad-dir"
	}
	env.send(ctx, c, stack.Request{Method: http.MethodPost, Path: stack.BoxPath(c.BoxID, "exec"), Body: ExecBody(&pay)})
	env.Refs.BindExec(s.Bind, c.ExecID, s.On, &pay)
	if c.Outcome != model.OK || c.ExecID == "" || s.Args.Get("attach") == "no" {
		return
	}
	if exited(env.attach(ctx, s.Bind, attachStep{cut: s.Args.Int("cut"), slow: s.Args.Duration("slow")})) {
		env.Info(ctx, s.Bind)
	}
}

// Info reads the state of the execution ref and returns the recorded call.
func (e *Env) Info(ctx context.Context, ref model.Ref) *model.Call {
	c := e.call(model.OpInfo, ref)
	return e.send(ctx, c, stack.Request{Method: http.MethodGet, Path: execPath(c)})
}

func execPath(c *model.Call, below ...string) string {
	return stack.BoxPath(c.BoxID, append([]string{"executions", c.ExecID}, below...)...)
}

// PayloadOf returns what a step of exec runs when the names of its run begin with token.
func PayloadOf(token string, s model.Step) model.Payload { return payload(token, s) }

// Intrusion returns the route that a step of probe tries: its method, its path with the ids put in,
// and the JSON body it sends, nil for none. ok is false for routes that make a box or a session.
func Intrusion(s model.Step, box, exec string) (method, path string, body any, ok bool) {
	for _, x := range boxIntrusions {
		if s.Action != (probe{}).Spec().Name || x.name != s.Args.Get("route") && (s.Args.Has("route") || x.name != boxIntrusions[0].name) {
			continue
		}
		if x.name == "create" {
			return "", "", nil, false
		}
		if x.body != nil {
			body = x.body(nil)
		}
		return x.method, x.path(box, exec), body, true
	}
	return "", "", nil, false
}

// BadCreate changes the body of a create into the request that variant names.
func BadCreate(variant string, body map[string]any) { badCreates[variant](body) }

// ExecBody is the body of the request that runs pay.
func ExecBody(pay *model.Payload) map[string]any {
	argv := pay.Argv()
	body := map[string]any{"command": argv[0], "args": argv[1:], "tty": pay.TTY}
	if vars := pay.Vars(); vars != nil {
		body["env"] = vars
	}
	if dir := pay.WorkDir(); dir != "" {
		body["working_dir"] = dir
	}
	if pay.Timeout > 0 {
		body["timeout_seconds"] = pay.Timeout.Seconds()
	}
	return body
}
