package baseline

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"pgregory.net/rapid"

	"chaos/model"
	"chaos/stack"
)

// command is what an exec runs, and what it must write.
type command struct {
	script, token  string
	stdout, stderr string // expected
	env            map[string]string
	exit           int
	tty            bool
	time           time.Duration // it takes by itself
}

var tokens atomic.Int64

// lines returns a shell command that writes n lines, and the lines. A few are written by the shell
// itself, more by seq.
func lines(token string, n int, tail string) (script, text string) {
	var b strings.Builder
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, "%s %05d%s\n", token, i, tail)
	}
	if n <= 8 {
		return fmt.Sprintf("printf '%%s' '%s'", b.String()), b.String()
	}
	return fmt.Sprintf("seq -f '%s %%05.0f%s' 1 %d", token, tail, n), b.String()
}

func drawCommand(t *rapid.T) command {
	c := command{token: fmt.Sprintf("t%d", tokens.Add(1))}
	counts := rapid.SampledFrom([]int{1, 3, 8, 0, 50, 500, 3000})
	tail := ""
	if rapid.IntRange(0, 4).Draw(t, "utf8") == 4 {
		tail = " 漢字かな한국어Привет🦊ñé"
	}
	out, text := lines(c.token+"o", counts.Draw(t, "stdout"), tail)
	c.stdout = text
	errs, text := lines(c.token+"e", counts.Draw(t, "stderr"), tail)
	c.stderr = text
	c.script = out
	if ms := rapid.SampledFrom([]int{0, 0, 20, 100}).Draw(t, "sleep"); ms > 0 {
		c.script += fmt.Sprintf("; sleep 0.%03d", ms)
		c.time = time.Duration(ms) * time.Millisecond
	}
	c.script += "; " + errs + " >&2"
	if name := rapid.SampledFrom([]string{"", "", "A", "B"}).Draw(t, "env"); name != "" {
		c.env = map[string]string{"TEST_" + name: c.token}
		c.script += `; echo "A=$TEST_A B=$TEST_B"`
		c.stdout += fmt.Sprintf("A=%s B=%s\n", c.env["TEST_A"], c.env["TEST_B"])
	}
	c.exit = rapid.SampledFrom([]int{0, 0, 1, 42}).Draw(t, "exit")
	c.script += fmt.Sprintf("; exit %d", c.exit)
	return c
}

// startExec sends the exec request and returns the id of the execution, "" if it was refused.
func (w *world) startExec(ctx context.Context, o *op, c command) (string, string) {
	body := map[string]any{"command": "sh", "args": []string{"-c", c.script}, "tty": c.tty}
	if c.env != nil {
		body["env"] = c.env
	}
	res, p := w.send(ctx, o, stack.Request{Method: http.MethodPost, Path: stack.BoxPath(o.on.id, "exec"), Body: body})
	if p != "" || res.Status != http.StatusCreated {
		return "", p
	}
	var x struct {
		ID string `json:"execution_id"`
	}
	if json.Unmarshal(res.Body, &x) != nil || x.ID == "" {
		return "", "exec: no execution_id"
	}
	return x.ID, ""
}

// attach reads the session of an execution to its end. While others change the box the session may be
// refused; then there is none.
func (w *world) attach(ctx context.Context, o *op, id string, opt stack.AttachOptions, limit time.Duration) (*model.Attach, string) {
	ctx, cancel := context.WithTimeout(ctx, patience+limit)
	defer cancel()
	began := time.Now()
	opt.Now = func() int64 { return int64(time.Since(began)) }
	a, res, err := w.client.Attach(ctx, o.on.id, id, opt)
	switch {
	case err != nil:
		return nil, "attach: no answer"
	case a == nil && (o.calm || res.Status != 404 && res.Status != 409 && res.Status != 410):
		return nil, fmt.Sprintf("attach: status %d", res.Status)
	case a != nil && a.TimedOut:
		return nil, "attach: never ends"
	}
	return a, ""
}

// checkSession compares a session with what c must write. When the box was changed meanwhile, the
// command may have been cut short.
func checkSession(o *op, a *model.Attach, c command) string {
	last := len(a.Frames) - 1
	for i, f := range a.Frames {
		if f.Kind == model.FrameError || f.Kind == model.FrameOther || f.Kind == model.FrameExit && i != last {
			return "attach: a frame that does not belong there"
		}
	}
	exit, exited := a.Exit()
	switch {
	case !exited && o.calm:
		return "attach: no exit"
	case exited && o.calm && exit.Exit != c.exit:
		return "attach: wrong exit code"
	case exited && a.Close != 1000:
		return "attach: no normal close"
	}
	whole := exited && exit.Exit == c.exit
	for _, s := range []struct {
		name      string
		got, want []byte
	}{{"stdout", a.Bytes(model.Out), []byte(c.stdout)}, {"stderr", a.Bytes(model.Err), []byte(c.stderr)}} {
		switch {
		case bytes.Equal(s.got, s.want):
		case !bytes.HasPrefix(s.want, s.got):
			return "attach: wrong " + s.name
		case whole:
			return "attach: not all of " + s.name
		}
	}
	return ""
}

// checkInfo looks at an execution that ended with code.
func (w *world) checkInfo(ctx context.Context, o *op, id string, code int) string {
	want := []int{200}
	if !o.calm {
		want = []int{200, 404}
	}
	res, err := w.client.Do(ctx, stack.Request{Method: http.MethodGet, Path: stack.BoxPath(o.on.id, "executions", id)})
	if p := problemOf("info", res, err, want); p != "" || res.Status != http.StatusOK {
		return p
	}
	var v struct {
		Status string `json:"status"`
		Exit   *int   `json:"exit_code"`
	}
	if json.Unmarshal(res.Body, &v) != nil {
		return "info: not the JSON it should be"
	}
	if v.Status == running || v.Exit == nil || *v.Exit != code {
		return "info: does not agree with the exit"
	}
	return ""
}

// read attaches to an execution and checks everything about its end.
func (w *world) read(ctx context.Context, o *op, id string, c command) string {
	a, p := w.attach(ctx, o, id, stack.AttachOptions{}, c.time)
	if p != "" || a == nil {
		return p
	}
	if p := checkSession(o, a, c); p != "" {
		return p
	}
	if exit, ok := a.Exit(); ok {
		return w.checkInfo(ctx, o, id, exit.Exit)
	}
	return ""
}

// execOp is an operation that starts c and goes on with the execution if it was accepted.
func (w *world) execOp(on *box, kind string, c command, then func(ctx context.Context, o *op, id string) string) *op {
	return &op{name: "exec", on: on, what: fmt.Sprintf("exec %s: %s: %.200q %v", on.name, kind, c.script, c.env), run: func(ctx context.Context, o *op) string {
		id, p := w.startExec(ctx, o, c)
		if p != "" || id == "" {
			return p
		}
		return then(ctx, o, id)
	}}
}

func (w *world) drawExec(t *rapid.T, on *box) *op {
	c := drawCommand(t)
	return w.execOp(on, "read", c, func(ctx context.Context, o *op, id string) string { return w.read(ctx, o, id, c) })
}

// drawReconnect reads an execution again after its connection was cut: all of the output comes again.
func (w *world) drawReconnect(t *rapid.T, on *box) *op {
	c := drawCommand(t)
	return w.execOp(on, "cut and read", c, func(ctx context.Context, o *op, id string) string {
		if _, p := w.attach(ctx, o, id, stack.AttachOptions{CutAfter: 1}, c.time); p != "" {
			return p
		}
		// The server may take a while to notice that the first connection is gone.
		for deadline := time.Now().Add(patience); ; {
			p := w.read(ctx, o, id, c)
			if p != "attach: status 409" || time.Now().After(deadline) {
				return p
			}
			pause(ctx)
		}
	})
}

// drawMissing runs a program that is not there.
func (w *world) drawMissing(_ *rapid.T, on *box) *op {
	return &op{name: "exec", on: on, what: "exec " + on.name + ": missing program", run: func(ctx context.Context, o *op) string {
		res, err := w.client.Do(ctx, stack.Request{Method: http.MethodPost, Path: stack.BoxPath(on.id, "exec"), Body: map[string]any{"command": "no-such-program"}})
		want := []int{422}
		for _, s := range w.want(o) {
			if s != http.StatusCreated {
				want = append(want, s)
			}
		}
		if o.calm && (o.state == gone || o.state == stopped && !w.autostart) {
			want = want[1:]
		}
		// Also a program that is not there may have started the box.
		if o.status = res.Status; res.Status == 422 {
			o.status = http.StatusCreated
		}
		return problemOf("missing program", res, err, want)
	}}
}

var sleeper = command{script: "exec sleep 5"}

func (w *world) drawSignal(_ *rapid.T, on *box) *op {
	return w.execOp(on, "signal", sleeper, func(ctx context.Context, o *op, id string) string {
		if p := w.touch(ctx, o, http.MethodPost, id, "signal", map[string]int{"signal": 15}, 204); p != "" {
			return p
		}
		c := sleeper
		c.exit = 143
		return w.read(ctx, o, id, c)
	})
}

// drawKill deletes an execution while somebody is attached, who still gets the exit.
func (w *world) drawKill(_ *rapid.T, on *box) *op {
	return w.execOp(on, "kill", sleeper, func(ctx context.Context, o *op, id string) string {
		end := make(chan string, 1)
		go func() {
			late := *o
			late.calm = false // the kill may come first
			a, p := w.attach(ctx, &late, id, stack.AttachOptions{}, 0)
			if p == "" && a != nil && o.calm {
				if exit, ok := a.Exit(); !ok || exit.Exit != 137 {
					p = "attach: no exit 137 after a kill"
				}
			}
			end <- p
		}()
		p := w.touch(ctx, o, http.MethodDelete, id, "", nil, 204)
		if q := <-end; p == "" {
			p = q
		}
		return p
	})
}

// drawResize resizes a terminal, and sometimes what is none.
func (w *world) drawResize(t *rapid.T, on *box) *op {
	c, want := sleeper, 400
	if c.tty = rapid.IntRange(0, 2).Draw(t, "tty") > 0; c.tty {
		c.script = `i=0; while [ $i -lt 80 ] && [ "$(stty size)" != "33 77" ]; do sleep 0.05; i=$((i+1)); done; stty size`
		c.stdout, c.time, want = "33 77\r\n", 5*time.Second, 204
	}
	return w.execOp(on, fmt.Sprintf("resize, tty %t", c.tty), c, func(ctx context.Context, o *op, id string) string {
		if p := w.touch(ctx, o, http.MethodPost, id, "resize", map[string]int{"rows": 33, "cols": 77}, want); p != "" {
			return p
		}
		if c.tty {
			return w.read(ctx, o, id, c)
		}
		return w.touch(ctx, o, http.MethodDelete, id, "", nil, 204)
	})
}

// touch does something to an execution.
func (w *world) touch(ctx context.Context, o *op, method, id, below string, body any, want int) string {
	path := stack.BoxPath(o.on.id, "executions", id)
	if below != "" {
		path += "/" + below
	}
	allowed := []int{want}
	if !o.calm {
		allowed = append(allowed, 404, 409)
	}
	req := stack.Request{Method: method, Path: path, Body: body}
	res, err := w.client.Do(ctx, req)
	return problemOf(strings.ToLower(method)+" execution "+below, res, err, allowed)
}
