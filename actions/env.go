package actions

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"chaos/model"
	"chaos/stack"
)

// Env is what a step may use while it is performed.
type Env struct {
	Client *stack.Client
	// Other acts for another organization, Stranger does so on our path prefix. Both may be nil.
	Other, Stranger *stack.Client

	Rec    *Recorder
	Refs   *Refs
	Limits model.Limits
	Life   model.Lifecycle // of the boxes of this stack
	// Control breaks parts of the stack, for faults; nil where that cannot be done.
	Control stack.Control
	GiveUp  time.Duration // how long the step waits for the answer to its request; 0 = as long as Limits say
	Index   int           // of the step in the plan, or model.Harness
	Who     string        // the client
	// Owned is told of every box id the stack hands out, and of creates in flight, so that the
	// journal's ids can be accounted for. A create without an answer may have made a box all the same.
	Owned interface {
		Begin() (done func(id string, answered bool))
	}
}

// Refs maps the refs of a plan to the ids the stack assigned.
type Refs struct {
	token string
	table map[model.Ref]*binding
}

type binding struct {
	done chan struct{}
	id   string // box or exec id; "" = it never came to be
	box  model.Ref
	pay  *model.Payload
	fed  atomic.Bool // some session sends or has sent its input
}

// NewRefs prepares the refs that p binds. token begins the name of every box.
func NewRefs(p model.Plan, token string) *Refs {
	r := &Refs{token: token, table: map[model.Ref]*binding{}}
	for _, s := range p.Steps {
		if s.Bind != "" {
			r.table[s.Bind] = &binding{done: make(chan struct{})}
		}
	}
	return r
}

// Wait returns when ref is bound or has failed to be, at once if no step binds it, or when ctx ends.
func (r *Refs) Wait(ctx context.Context, ref model.Ref) {
	b, ok := r.table[ref]
	if !ok {
		return
	}
	select {
	case <-b.done:
	case <-ctx.Done():
	}
}

// BindBox records that ref is the box id; "" when its create failed. The first call counts.
func (r *Refs) BindBox(ref model.Ref, id string) { r.bind(ref, id, "", nil) }

// BindExec records that ref is the execution id on box, running pay; "" when it did not start.
func (r *Refs) BindExec(ref model.Ref, id string, box model.Ref, pay *model.Payload) {
	r.bind(ref, id, box, pay)
}

func (r *Refs) bind(ref model.Ref, id string, box model.Ref, pay *model.Payload) {
	b, ok := r.table[ref]
	if !ok {
		return
	}
	select {
	case <-b.done:
		return
	default:
	}
	b.id, b.box, b.pay = id, box, pay
	close(b.done)
}

// get returns the binding of ref if it is done and came to be.
func (r *Refs) get(ref model.Ref) (*binding, bool) {
	b, ok := r.table[ref]
	if !ok {
		return nil, false
	}
	select {
	case <-b.done:
		return b, b.id != ""
	default:
		return nil, false
	}
}

// Box returns the id of ref, or an id that no box has.
func (r *Refs) Box(ref model.Ref) string {
	if b, ok := r.get(ref); ok {
		return b.id
	}
	return fakeID(r.token+string(ref), 12)
}

// Exec returns the id of ref and the box it is on, or an id that no execution has on a box that
// does not exist.
func (r *Refs) Exec(ref model.Ref) (id string, box model.Ref, pay *model.Payload) {
	if b, ok := r.get(ref); ok {
		return b.id, b.box, b.pay
	}
	h := fakeID(r.token+string(ref), 12)
	return "00000000-0000-4000-8000-" + strings.ToLower(h[:12]), "", nil
}

// feed returns the input of ref to the first session that asks, and nothing to those that come later:
// all they have to send is the end.
func (r *Refs) feed(ref model.Ref) []byte {
	if b, ok := r.get(ref); ok && !b.fed.Swap(true) {
		return b.pay.Input()
	}
	return nil
}

// knows reports whether id is one that a create of this run was given. A server may have named the
// box as it liked.
func (r *Refs) knows(id string) bool {
	for ref := range r.table {
		if b, ok := r.get(ref); ok && ref.IsBox() && b.id == id {
			return true
		}
	}
	return false
}

// Token returns what begins the names of this run.
func (r *Refs) Token() string { return r.token }

// fakeID returns n hex digits made from text.
func fakeID(text string, n int) string {
	h := fnv.New128a()
	h.Write([]byte(text))
	return fmt.Sprintf("%x", h.Sum(nil))[:n]
}

// call begins the record of an operation of the step.
func (e *Env) call(op string, on model.Ref) *model.Call {
	c := &model.Call{Step: e.Index, Client: e.Who, Op: op}
	switch {
	case on.IsBox():
		c.Box, c.BoxID = on, e.Refs.Box(on)
	case on.IsExec():
		c.Exec = on
		c.ExecID, c.Box, _ = e.Refs.Exec(on)
		c.BoxID = e.Refs.Box(c.Box)
	}
	return c
}

// send performs req, completes c with the answer and records it.
func (e *Env) send(ctx context.Context, c *model.Call, req stack.Request) *model.Call {
	return e.sendAs(ctx, e.Client, c, req)
}

// sendAs is send by another client.
func (e *Env) sendAs(ctx context.Context, client *stack.Client, c *model.Call, req stack.Request) *model.Call {
	wait := e.Limits.Call
	if e.GiveUp > 0 && changing[c.Op] {
		wait = e.GiveUp
	}
	bounded, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	e.Rec.begin(c)
	res, err := client.Do(bounded, req)
	e.answer(c, res, err)
	c.GaveUp = err != nil && wait == e.GiveUp && errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil
	e.Rec.end(c)
	return c
}

// changing are the operations that a client may give up on.
var changing = map[string]bool{model.OpCreate: true, model.OpStart: true, model.OpStop: true, model.OpRemove: true, model.OpExec: true}

// giveUp is the argument of the steps that may not wait for their answer.
var giveUp = model.ArgSpec{Name: "giveup", Doc: "stop waiting for the answer after this long: whether it took effect is then not known", Check: duration(time.Second)}

// drawGiveUp lets a few steps give up, most of them in the middle of the work.
func drawGiveUp(src model.Source, a model.Args) model.Args {
	if !model.Chance(src, 3) {
		return a
	}
	return a.With(giveUp.Name, model.Pick(src, []string{"1ms", "2ms", "4ms", "8ms", "20ms"}))
}

// answer fills in what came back.
func (e *Env) answer(c *model.Call, res stack.Response, err error) {
	c.Status, c.Conns, c.Reused = res.Status, res.Conns, res.Reused
	switch {
	case err != nil:
		c.Outcome, c.Error = model.Unknown, err.Error()
		return
	case res.Status/100 == 2 || res.Status == http.StatusSwitchingProtocols:
		c.Outcome = model.OK
	default:
		c.Outcome = model.Rejected
	}
	if c.Outcome == model.OK {
		e.decode(c, res.Body)
	}
	c.Body = clip(res.Body)
}

func clip(body []byte) string {
	if len(body) > model.MaxBody {
		body = body[:model.MaxBody]
	}
	return strings.ToValidUTF8(string(body), "\uFFFD")
}

// until calls look every few milliseconds, less often as time goes on, until it returns true, the
// limit has passed or ctx ends.
func until(ctx context.Context, limit time.Duration, look func() bool) {
	deadline := time.Now().Add(limit)
	for wait := 3 * time.Millisecond; ; wait = min(wait*3/2, 250*time.Millisecond) {
		last := time.Now().After(deadline)
		if look() || last || !Pause(ctx, wait) {
			return
		}
	}
}

// Pause waits for d and reports whether it did so in full; it returns early when ctx ends.
func Pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
