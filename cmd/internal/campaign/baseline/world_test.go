package baseline

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"pgregory.net/rapid"

	"chaos/model"
	"chaos/stack"
)

// What the test believes of a box.
const (
	running = "running"
	stopped = "stopped"
	gone    = "gone"
)

// box is one box of the model.
type box struct {
	id, name, state string
	stopping        bool // a stop was accepted and not waited for
}

func (b *box) live() bool { return b.state != gone }

// world is the state of one run: a model of the boxes, and the client. Operations of one batch run at
// once and only read it; what they change is written after all have ended.
type world struct {
	client    *stack.Client
	quota     int
	autostart bool // an exec on a stopped box starts it
	together  int  // most operations at once
	boxes     []*box
	made      int      // boxes asked for, for their names
	log       []string // operations performed
	over      func() bool
	failed    func(problem string)
}

// op is one operation that was drawn and can be run.
type op struct {
	name string // as in answers
	what string // for the log
	on   *box   // nil for a create
	bad  bool   // of a create: must be refused
	box  string // of a create: the name asked for
	wait bool   // of a stop: until the box has stopped
	run  func(ctx context.Context, o *op) string

	calm   bool   // nothing else in the batch can change the outcome
	state  string // of the box before the batch
	status int    // of the answer
	made   *box   // by a create
}

// changes reports whether the operation changes its box.
func (o *op) changes() bool { return o.name == "stop" || o.name == "start" || o.name == "remove" }

// actions are what rapid draws from: each kind of operation, or batches of any.
func (w *world) actions() map[string]func(*rapid.T) {
	draws := w.draws()
	kinds := make([]string, 0, len(draws))
	for k := range draws {
		kinds = append(kinds, k)
	}
	sort.Strings(kinds)
	out := map[string]func(*rapid.T){"": w.check}
	if w.together == 1 {
		for k, draw := range draws {
			out[k] = func(t *rapid.T) { w.perform(t, []*op{draw(t, w.anyBox(t))}) }
		}
		return out
	}
	out["together"] = func(t *rapid.T) {
		n := rapid.IntRange(1, w.together).Draw(t, "n")
		// Half of the batches are about one box, for that is where operations meet.
		var one *box
		if rapid.Bool().Draw(t, "one box") {
			one = w.anyBox(t)
		}
		var ops []*op
		for range n {
			kind, on := rapid.SampledFrom(kinds).Draw(t, "kind"), one
			if on == nil {
				on = w.anyBox(t)
			}
			ops = append(ops, draws[kind](t, on))
		}
		w.perform(t, ops)
	}
	return out
}

// anyBox draws a box, seldom one that was removed; nil while there is none.
func (w *world) anyBox(t *rapid.T) *box {
	var live, all []*box
	for _, b := range w.boxes {
		all = append(all, b)
		if b.live() {
			live = append(live, b)
		}
	}
	switch {
	case len(all) == 0:
		return nil
	case len(live) == 0 || rapid.IntRange(0, 9).Draw(t, "removed") == 9:
		return rapid.SampledFrom(all).Draw(t, "box")
	}
	return rapid.SampledFrom(live).Draw(t, "box")
}

// perform runs ops at once, checks each and what they leave.
func (w *world) perform(t *rapid.T, ops []*op) {
	// Without a box there is nothing to do but to make one.
	for i, o := range ops {
		if o == nil {
			ops[i] = w.drawCreate(t, nil)
		}
	}
	w.prepare(ops)
	if w.over() {
		stopHere()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	problems := make([]string, len(ops))
	var wg sync.WaitGroup
	for i, o := range ops {
		w.log = append(w.log, fmt.Sprintf("%d of %d at once: %s", i+1, len(ops), o.what))
		wg.Go(func() { problems[i] = o.run(ctx, o) })
	}
	wg.Wait()
	problems = append(problems, w.settle(ctx, ops))
	if i := slices.IndexFunc(problems, func(p string) bool { return p != "" }); i >= 0 {
		w.fail(t, problems[i])
	}
}

// fail ends the run. All failures come through here with a text that says nothing of this run alone:
// rapid shrinks only what fails with the same text at the same place.
func (w *world) fail(t *rapid.T, problem string) {
	w.failed(problem)
	t.Fatalf("%s", problem)
}

// prepare finds out which operations of a batch have one possible outcome only.
func (w *world) prepare(ops []*op) {
	creates, removes := 0, 0
	on, changing := map[*box]int{}, map[*box]bool{}
	for _, o := range ops {
		if o.name == "create" {
			creates++
			continue
		}
		if o.name == "remove" {
			removes++
		}
		on[o.on]++
		// An exec may start its box.
		changing[o.on] = changing[o.on] || o.changes() || w.autostart && o.on.state == stopped
	}
	for _, o := range ops {
		if o.name == "create" {
			o.calm = creates == 1 && removes == 0
			continue
		}
		o.state = o.on.state
		o.calm = !o.on.stopping && (on[o.on] == 1 || !changing[o.on])
	}
}

// settle brings the model up to date and tells what cannot be.
func (w *world) settle(ctx context.Context, ops []*op) string {
	for _, o := range ops {
		if o.made != nil {
			w.boxes = append(w.boxes, o.made)
		}
	}
	for _, b := range w.boxes {
		if p := w.settleBox(ctx, b, ops); p != "" {
			return p
		}
	}
	names, live := map[string]bool{}, 0
	for _, b := range w.boxes {
		if !b.live() {
			continue
		}
		if names[b.name] {
			return "two boxes have the same name"
		}
		names[b.name] = true
		live++
	}
	if live > w.quota {
		return "more boxes than the limit"
	}
	return ""
}

// settleBox works out the state of b after the batch. Where more than one is possible, the box is
// waited for and asked.
func (w *world) settleBox(ctx context.Context, b *box, ops []*op) string {
	stops, starts, touched, waited := b.stopping, false, false, true
	for _, o := range ops {
		if o.on != b {
			continue
		}
		touched = true
		switch ok := o.status < 300; {
		case o.name == "remove" && ok:
			b.state, b.stopping = gone, false
			return ""
		case o.name == "stop" && ok:
			stops, waited = true, waited && o.wait
		case o.name == "start" && ok:
			starts = true
		case ok && w.autostart && o.name != "get":
			starts = true
		}
	}
	switch {
	case !touched || !b.live() || !stops && !starts:
		return ""
	case stops && !starts && !waited && !b.stopping && len(ops) == 1:
		b.state, b.stopping = stopped, true // the next operation meets the stop
		return ""
	}
	state, p := w.await(ctx, b)
	if p != "" {
		return p
	}
	if stops != starts && state != map[bool]string{true: stopped, false: running}[stops] {
		return fmt.Sprintf("a box is %s after only stop %t, start %t", state, stops, starts)
	}
	b.state, b.stopping = state, false
	return ""
}

// await polls until the status of b is one that stays.
func (w *world) await(ctx context.Context, b *box) (string, string) {
	for deadline := time.Now().Add(patience); ; {
		res, err := w.client.Do(ctx, stack.Request{Method: http.MethodGet, Path: stack.BoxPath(b.id)})
		if p := problemOf("get", res, err, []int{200}); p != "" {
			return "", p
		}
		var v view
		if json.Unmarshal(res.Body, &v) != nil || v.ID != b.id || v.Name != b.name {
			return "", "get: not the box asked for"
		}
		if v.Status == running || v.Status == stopped {
			return v.Status, ""
		}
		if time.Now().After(deadline) {
			return "", "a box stays " + v.Status
		}
		pause(ctx)
	}
}

// view is a box on the wire.
type view struct {
	ID     string `json:"box_id"`
	Name   string `json:"name"`
	Status string `json:"status"`
	CPUs   int    `json:"cpus"`
}

// check holds after every action: the list has the boxes that live, and no others.
func (w *world) check(t *rapid.T) {
	if w.over() {
		stopHere()
	}
	if p := w.checkList(context.Background()); p != "" {
		w.fail(t, p)
	}
}

func (w *world) checkList(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	res, err := w.client.Do(ctx, stack.Request{Method: http.MethodGet, Path: "/boxes"})
	if p := problemOf("list", res, err, []int{200}); p != "" {
		return p
	}
	var l struct{ Boxes []view }
	if json.Unmarshal(res.Body, &l) != nil {
		return "list: not the JSON it should be"
	}
	seen := map[string]view{}
	for _, v := range l.Boxes {
		seen[v.ID] = v
	}
	for _, b := range w.boxes {
		v, listed := seen[b.id]
		delete(seen, b.id)
		switch {
		case listed != b.live():
			return fmt.Sprintf("list: a box that is %s: listed %t", b.state, listed)
		case listed && v.Name != b.name:
			return "list: wrong name"
		case listed && !b.stopping && v.Status != b.state:
			return fmt.Sprintf("list: a %s box is %s", b.state, v.Status)
		}
	}
	if len(seen) > 0 {
		return "list: a box that nobody made"
	}
	return ""
}

// problemOf checks the status of an answer, and that an error is typed.
func problemOf(what string, res stack.Response, err error, want []int) string {
	switch {
	case err != nil:
		return what + ": no answer"
	case !slices.Contains(want, res.Status):
		return fmt.Sprintf("%s: status %d", what, res.Status)
	case res.Status < 400:
		return ""
	}
	e := model.ParseError(string(res.Body))
	if e.Message == "" || e.Status != 0 && e.Status != res.Status || e.Code != "" && !model.CodeFits(e.Code, res.Status) || strings.TrimSpace(string(res.Body)) == "" {
		return fmt.Sprintf("%s: error %d is not typed", what, res.Status)
	}
	return ""
}
