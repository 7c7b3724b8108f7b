package baseline

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"time"

	"pgregory.net/rapid"

	"chaos/stack"
)

// patience is how long a test waits for what takes moments.
const patience = 5 * time.Second

// pause waits a moment between two looks.
func pause(ctx context.Context) {
	select {
	case <-time.After(10 * time.Millisecond):
	case <-ctx.Done():
	}
}

// answers says what is right on a box that nothing else happens to.
var answers = map[string]map[string][]int{
	"get":    {running: {200}, stopped: {200}, gone: {404}},
	"start":  {running: {200, 201}, stopped: {200, 201}, gone: {404}},
	"stop":   {running: {200, 201}, stopped: {400, 409}, gone: {404}},
	"remove": {running: {204}, stopped: {204}, gone: {404}},
	"exec":   {running: {201}, stopped: {409}, gone: {404}},
}

// raced says what is right while other operations on the box are under way.
var raced = map[string][]int{
	"get":    {200, 404},
	"start":  {200, 201, 400, 404, 409},
	"stop":   {200, 201, 400, 404, 409},
	"remove": {204, 400, 404, 409},
	"exec":   {201, 404, 409},
}

// want returns the answers that are right for o.
func (w *world) want(o *op) []int {
	switch {
	case !o.calm:
		return raced[o.name]
	case o.name == "exec" && o.state == stopped && w.autostart:
		return []int{201}
	}
	return answers[o.name][o.state]
}

// about names o and the state of its box, for problems.
func (o *op) about() string {
	switch {
	case o.on == nil:
		return o.name
	case o.calm:
		return o.name + " on a box that is " + o.state
	}
	return o.name + " among others"
}

// send performs the request of o, notes the status and checks it.
func (w *world) send(ctx context.Context, o *op, req stack.Request) (stack.Response, string) {
	res, err := w.client.Do(ctx, req)
	o.status = res.Status
	if err != nil {
		o.status = http.StatusGatewayTimeout
	}
	return res, problemOf(o.about(), res, err, w.want(o))
}

// draws are the kinds of operations. Those on a box return nil without one.
func (w *world) draws() map[string]func(*rapid.T, *box) *op {
	out := map[string]func(*rapid.T, *box) *op{"create": w.drawCreate, "create bad": w.drawBadCreate}
	for kind, draw := range map[string]func(*rapid.T, *box) *op{
		"exec": w.drawExec, "exec2": w.drawExec, "missing": w.drawMissing, "reconnect": w.drawReconnect, "signal": w.drawSignal, "kill": w.drawKill,
		"resize": w.drawResize, "get": w.drawGet, "start": w.drawStart, "stop": w.drawStop, "remove": w.drawRemove,
	} {
		out[kind] = func(t *rapid.T, on *box) *op {
			if on == nil {
				return nil
			}
			return draw(t, on)
		}
	}
	return out
}

// badCreates must be refused.
var badCreates = []map[string]any{{"cpus": 0}, {"cpus": 999}, {"memory_mib": -1}, {"image": "no-such-image:latest"}, {"name": ""}}

func (w *world) drawBadCreate(t *rapid.T, _ *box) *op {
	return w.createOp(rapid.SampledFrom(badCreates).Draw(t, "bad"), "", true)
}

func (w *world) drawCreate(t *rapid.T, _ *box) *op {
	with, name := map[string]any{}, ""
	// Half of the boxes share two names.
	if n := rapid.IntRange(0, 3).Draw(t, "name"); n < 2 {
		name = fmt.Sprintf("shared-%d", n)
	}
	if cpus := rapid.IntRange(0, 4).Draw(t, "cpus"); cpus > 0 {
		with["cpus"] = cpus
	}
	return w.createOp(with, name, false)
}

// createOp makes a box of that name, "" for one of its own, with something special about it.
func (w *world) createOp(with map[string]any, name string, bad bool) *op {
	w.made++
	if name == "" {
		name = fmt.Sprintf("box-%d", w.made)
	}
	body := map[string]any{"image": "alpine:latest", "name": name}
	maps.Copy(body, with)
	return &op{name: "create", what: fmt.Sprintf("create %v", body), box: name, bad: bad, run: func(ctx context.Context, o *op) string { return w.create(ctx, o, body) }}
}

func (w *world) create(ctx context.Context, o *op, body map[string]any) string {
	live, taken := 0, false
	for _, b := range w.boxes {
		if b.live() {
			live++
			taken = taken || b.name == o.box
		}
	}
	full := live >= w.quota
	var want []int
	switch {
	case o.bad:
		want = []int{400, 404, 422}
		if full || !o.calm {
			want = append(want, 429)
		}
	case !o.calm:
		want = []int{201, 409, 429}
	case full && taken:
		want = []int{409, 429}
	case full:
		want = []int{429}
	case taken:
		want = []int{409}
	default:
		want = []int{201}
	}
	what := "create"
	if o.bad {
		what = "bad create"
	}
	res, err := w.client.Do(ctx, stack.Request{Method: http.MethodPost, Path: "/boxes", Body: body})
	o.status = res.Status
	if res.Status == http.StatusCreated {
		var v view
		if json.Unmarshal(res.Body, &v) != nil || v.ID == "" || v.Name != o.box && body["name"] != "" {
			return "create: not the box asked for"
		}
		o.made = &box{id: v.ID, name: v.Name, state: running}
		if cpus, ok := body["cpus"]; ok && !o.bad && v.CPUs != cpus {
			return "create: not the size asked for"
		}
		if v.Status != running {
			return "create: the box is " + v.Status
		}
	}
	return problemOf(what, res, err, want)
}

func (w *world) drawGet(_ *rapid.T, on *box) *op {
	return &op{name: "get", what: "get " + on.name, on: on, run: func(ctx context.Context, o *op) string {
		res, p := w.send(ctx, o, stack.Request{Method: http.MethodGet, Path: stack.BoxPath(on.id)})
		if p != "" || res.Status != http.StatusOK {
			return p
		}
		var v view
		switch err := json.Unmarshal(res.Body, &v); {
		case err != nil || v.ID != on.id || v.Name != on.name:
			return "get: not the box asked for"
		case o.calm && v.Status != o.state:
			return fmt.Sprintf("get: a %s box is %s", o.state, v.Status)
		}
		return ""
	}}
}

func (w *world) drawStart(_ *rapid.T, on *box) *op {
	return &op{name: "start", what: "start " + on.name, on: on, run: func(ctx context.Context, o *op) string {
		_, p := w.send(ctx, o, stack.Request{Method: http.MethodPost, Path: stack.BoxPath(on.id, "start")})
		return p
	}}
}

func (w *world) drawStop(t *rapid.T, on *box) *op {
	wait := rapid.IntRange(0, 2).Draw(t, "wait") != 2
	return &op{name: "stop", what: fmt.Sprintf("stop %s, wait %t", on.name, wait), on: on, wait: wait, run: func(ctx context.Context, o *op) string {
		_, p := w.send(ctx, o, stack.Request{Method: http.MethodPost, Path: stack.BoxPath(on.id, "stop")})
		return p
	}}
}

func (w *world) drawRemove(_ *rapid.T, on *box) *op {
	return &op{name: "remove", what: "remove " + on.name, on: on, run: func(ctx context.Context, o *op) string {
		_, p := w.send(ctx, o, stack.Request{Method: http.MethodDelete, Path: stack.BoxPath(on.id) + "?force=true"})
		return p
	}}
}

// finish removes every box and expects an empty list.
func (w *world) finish(t *rapid.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, b := range w.boxes {
		if !b.live() {
			continue
		}
		if b.stopping {
			if _, p := w.await(ctx, b); p != "" {
				w.fail(t, p)
			}
		}
		res, err := w.client.Do(ctx, stack.Request{Method: http.MethodDelete, Path: stack.BoxPath(b.id) + "?force=true"})
		if p := problemOf("remove", res, err, []int{204}); p != "" {
			w.fail(t, p)
		}
		b.state = gone
	}
	w.check(t)
}
