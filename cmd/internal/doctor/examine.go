package doctor

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"chaos/model"
	"chaos/stack"
)

// examiner asks one stack.
type examiner struct {
	client *stack.Client
	limits model.Limits
	prefix string // of the names of all boxes
	made   []string
	box    string
	out    *Diagnosis
}

func newExaminer(c *stack.Client, limits model.Limits) *examiner {
	return &examiner{client: c, limits: limits, prefix: fmt.Sprintf("chaos-doctor-%06x", rand.Uint32()&0xffffff), out: &Diagnosis{Flags: model.Flags{}}}
}

// unknownExec is an id that no execution has.
const unknownExec = "00000000-0000-4000-8000-000000000000"

// reply is an answer as the examiner reads it.
type reply struct {
	status int
	body   []byte
	box    struct {
		ID     string `json:"box_id"`
		Status string `json:"status"`
	}
}

// send makes a request.
func (x *examiner) send(ctx context.Context, method, path string, body any) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, x.limits.Call)
	defer cancel()
	res, err := x.client.Do(ctx, stack.Request{Method: method, Path: path, Body: body})
	if err != nil {
		return reply{}, err
	}
	r := reply{status: res.Status, body: res.Body}
	_ = json.Unmarshal(res.Body, &r.box) // not every answer is a box
	return r, nil
}

// ask makes a request and keeps the answer.
func (x *examiner) ask(ctx context.Context, a Answer, method, path string, body any) (reply, error) {
	r, err := x.send(ctx, method, path, body)
	if err != nil {
		return r, fmt.Errorf("%s: %w", a.Request, err)
	}
	a.Status, a.Shows = r.status, r.box.Status
	if r.status >= 400 {
		a.Body = strings.Join(strings.Fields(string(r.body[:min(len(r.body), 400)])), " ")
	}
	x.out.Answers = append(x.out.Answers, a)
	return r, nil
}

// examine goes through the life of a box. What it cannot go on without is an error.
func (x *examiner) examine(ctx context.Context) error {
	for _, part := range []func(context.Context) error{x.nothing, x.create, x.boot, x.run, x.stop, x.stopped, x.wake, x.remove, x.badCreate} {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (x *examiner) at(below ...string) string { return stack.BoxPath(x.box, below...) }

func (x *examiner) nothing(ctx context.Context) error {
	_, err := x.ask(ctx, Answer{Request: "GET …/boxes/ID of no box", op: model.OpGet, State: model.Absent}, http.MethodGet, stack.BoxPath("000000000000"), nil)
	return err
}

// newBox is the body of a create.
func (x *examiner) newBox(name string) map[string]any {
	return map[string]any{"image": "alpine:latest", "name": x.prefix + "-" + name}
}

func (x *examiner) create(ctx context.Context) error {
	// A create that is cut off may still make a box, after everything was removed.
	ctx = context.WithoutCancel(ctx)
	r, err := x.ask(ctx, Answer{Request: "POST …/boxes", op: model.OpCreate, State: model.Absent}, http.MethodPost, "/boxes", x.newBox("1"))
	if err != nil {
		return err
	}
	if r.box.ID != "" {
		x.made = append(x.made, r.box.ID)
	}
	if r.status < 400 && (r.status != http.StatusCreated || r.box.ID == "") {
		return fmt.Errorf("examine stack: POST …/boxes answered %d, and not 201 with a box: is this a BoxLite API?", r.status)
	}
	if r.status >= 400 {
		why := cmp.Or(x.out.Answers[len(x.out.Answers)-1].Body, "no reason given")
		return &Unable{fmt.Sprintf("POST …/boxes answered %d (%s)", r.status, why)}
	}
	x.box = r.box.ID
	x.out.Flags[model.FlagAfterCreate] = model.IsRunning
	if r.box.Status == "configured" {
		x.out.Flags[model.FlagAfterCreate] = model.Configured
	}
	r, err = x.ask(ctx, Answer{Request: "POST …/boxes with a name that is taken", source: "OpenAPI POST /boxes: 409 on a taken name",
		want: map[string][]int{"cloud": {409}, "serve": {409}, "spec": {409}}}, http.MethodPost, "/boxes", x.newBox("1"))
	if r.box.ID != "" {
		x.made = append(x.made, r.box.ID)
	}
	return err
}

// command is an exec that does nothing.
var command = map[string]any{"command": "true"}

// boot runs a command in the new box, which must then show as running.
func (x *examiner) boot(ctx context.Context) error {
	state, what := model.Running, "POST …/exec on a new box"
	if x.out.Flags[model.FlagAfterCreate] == model.Configured {
		state, what = model.Fresh, "POST …/exec on a box that was never started"
	}
	if _, err := x.ask(ctx, Answer{Request: what, op: model.OpExec, State: state}, http.MethodPost, x.at("exec"), command); err != nil {
		return err
	}
	return x.await(ctx, "running", what)
}

// await looks at the box until it shows a status. That it does not is an answer, too.
func (x *examiner) await(ctx context.Context, status, after string) error {
	last, begun := "", time.Now()
	for wait := 3 * time.Millisecond; ; wait = min(2*wait, 250*time.Millisecond) {
		r, err := x.send(ctx, http.MethodGet, x.at(), nil)
		if err != nil {
			return err
		}
		if last = r.box.Status; r.status == http.StatusNotFound {
			last = "404"
		}
		if last == status {
			return nil
		}
		if time.Since(begun) > x.limits.Converge {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
	x.out.wrong = append(x.out.wrong, Contradiction{"GET …/boxes/ID after " + after, fmt.Sprintf("%s within %s", status, x.limits.Converge), last, "a status shows what was accepted; #861"})
	return nil
}

// run asks what a running box must answer.
func (x *examiner) run(ctx context.Context) error {
	if _, err := x.ask(ctx, Answer{Request: "POST …/start on a running box", op: model.OpStart, State: model.Running}, http.MethodPost, x.at("start"), nil); err != nil {
		return err
	}
	if _, err := x.ask(ctx, Answer{Request: "POST …/executions/ID/signal with 9", op: model.OpSignal, variant: "not-allowed", State: model.Running},
		http.MethodPost, x.at("executions", unknownExec, "signal"), map[string]int{"signal": 9}); err != nil {
		return err
	}
	_, err := x.ask(ctx, Answer{Request: "GET …/metrics of a running box", op: model.OpMetrics, State: model.Running}, http.MethodGet, x.at("metrics"), nil)
	return err
}

// stop stops the box and sees whether the answer means that it has stopped.
func (x *examiner) stop(ctx context.Context) error {
	const what = "POST …/stop on a running box"
	r, err := x.ask(ctx, Answer{Request: what, op: model.OpStop, State: model.Running}, http.MethodPost, x.at("stop"), nil)
	if err != nil {
		return err
	}
	look, err := x.send(ctx, http.MethodGet, x.at(), nil)
	if err != nil {
		return err
	}
	x.out.Flags[model.FlagStop] = model.Async
	if look.box.Status == "stopped" && (r.box.Status == "stopped" || r.box.Status == "") {
		x.out.Flags[model.FlagStop] = model.Sync
	}
	return x.await(ctx, "stopped", what)
}

// stopped asks what a stopped box must answer. None of it may wake the box.
func (x *examiner) stopped(ctx context.Context) error {
	if _, err := x.ask(ctx, Answer{Request: "POST …/stop on a stopped box", op: model.OpStop, State: model.Stopped}, http.MethodPost, x.at("stop"), nil); err != nil {
		return err
	}
	const what = "GET …/metrics of a stopped box"
	if _, err := x.ask(ctx, Answer{Request: what, op: model.OpMetrics, State: model.Stopped}, http.MethodGet, x.at("metrics"), nil); err != nil {
		return err
	}
	return x.await(ctx, "stopped", what)
}

// wake runs a command in the stopped box, and starts the box if that did not.
func (x *examiner) wake(ctx context.Context) error {
	const what = "POST …/exec on a stopped box"
	r, err := x.ask(ctx, Answer{Request: what, op: model.OpExec, State: model.Stopped}, http.MethodPost, x.at("exec"), command)
	if err != nil {
		return err
	}
	switch r.status {
	case http.StatusCreated:
		x.out.Flags[model.FlagExecOnStopped] = model.Autostart
		return x.await(ctx, "running", what)
	case http.StatusConflict:
		x.out.Flags[model.FlagExecOnStopped] = model.Reject
	}
	if _, err := x.ask(ctx, Answer{Request: "POST …/start on a stopped box", op: model.OpStart, State: model.Stopped}, http.MethodPost, x.at("start"), nil); err != nil {
		return err
	}
	return x.await(ctx, "running", "POST …/start on a stopped box")
}

// remove deletes the box, which must look as if it had never been.
func (x *examiner) remove(ctx context.Context) error {
	r, err := x.ask(ctx, Answer{Request: "DELETE …/boxes/ID of a running box, without force", source: "OpenAPI DELETE /boxes/{box}: force defaults to false; boxlite serve: to true; the API ignores it",
		want: map[string][]int{"cloud": {204}, "serve": {204}, "spec": {409}}}, http.MethodDelete, x.at(), nil)
	if err != nil {
		return err
	}
	const what = "DELETE …/boxes/ID?force=true"
	if r.status != http.StatusNoContent {
		if _, err := x.ask(ctx, Answer{Request: what, op: model.OpRemove, State: model.Running}, http.MethodDelete, x.at()+"?force=true", nil); err != nil {
			return err
		}
	}
	if err := x.await(ctx, "404", what); err != nil {
		return err
	}
	_, err = x.ask(ctx, Answer{Request: "POST …/exec on a removed box", op: model.OpExec, State: model.Gone}, http.MethodPost, x.at("exec"), command)
	return err
}

// badCreate asks for a box in a way that is not allowed.
func (x *examiner) badCreate(ctx context.Context) error {
	body := x.newBox("2")
	body["chaos_doctor"] = true
	r, err := x.ask(context.WithoutCancel(ctx), Answer{Request: "POST …/boxes with an unknown field", anyway: true, source: "CreateBoxRequest: unknown fields are forbidden; older APIs drop them",
		want: map[string][]int{"cloud": {201, 400}, "serve": {400, 415, 422}, "spec": {400, 422}}}, http.MethodPost, "/boxes", body)
	if r.box.ID != "" {
		x.made = append(x.made, r.box.ID)
	}
	if err != nil {
		return err
	}
	_, err = x.ask(ctx, Answer{Request: "POST …/boxes with cpus=0", op: model.OpCreate, variant: "cpus-zero", State: model.Absent}, http.MethodPost, "/boxes",
		map[string]any{"image": "alpine:latest", "name": x.prefix + "-3", "cpus": 0})
	return err
}

// cleanUp removes all boxes of the examination, also those that were made by a request whose answer
// nobody saw.
func (x *examiner) cleanUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, x.limits.Call+3*x.limits.Converge)
	defer cancel()
	var list struct {
		Boxes []struct {
			ID   string `json:"box_id"`
			Name string `json:"name"`
		} `json:"boxes"`
	}
	r, err := x.send(ctx, http.MethodGet, "/boxes", nil)
	if err == nil {
		_ = json.Unmarshal(r.body, &list) // then the ids that we know must do
	}
	for _, b := range list.Boxes {
		if strings.HasPrefix(b.Name, x.prefix+"-") {
			x.made = append(x.made, b.ID)
		}
	}
	var left []string
	for _, id := range x.made {
		if !x.removed(ctx, id) {
			left = append(left, id)
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("boxes could not be removed: %s", strings.Join(left, " "))
	}
	return nil
}

// removed deletes a box, again while it is in the middle of a change, and reports whether it is gone.
func (x *examiner) removed(ctx context.Context, id string) bool {
	begun := time.Now()
	for wait := 3 * time.Millisecond; ; wait = min(2*wait, 250*time.Millisecond) {
		r, err := x.send(ctx, http.MethodDelete, stack.BoxPath(id)+"?force=true", nil)
		if err == nil && (r.status == http.StatusNoContent || r.status == http.StatusNotFound) {
			return true
		}
		if time.Since(begun) > x.limits.Converge {
			return false
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(wait):
		}
	}
}
