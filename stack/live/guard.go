package live

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"chaos/stack"
)

// Caps bound what is asked of a stack that is not ours alone.
type Caps struct {
	Boxes            int   // alive at once
	CreatesPerMinute int   // in any minute
	OutputBytes      int64 // of all answers and attach sessions together
}

// DefaultCaps are modest for a machine that runs virtual machines, and leave the usual three plans at
// once as they are.
var DefaultCaps = Caps{Boxes: 20, CreatesPerMinute: 600, OutputBytes: 8 << 30}

// Lifetime is what boxes are made with, so that the stack puts them away should nobody else do it.
type Lifetime struct {
	AutoStop, AutoDelete time.Duration // whole seconds; 0 = not asked for
}

// DefaultLifetime is that of BoxLite's own tests. A plan never leaves a box alone for so long.
var DefaultLifetime = Lifetime{AutoStop: 5 * time.Minute, AutoDelete: 10 * time.Minute}

// maxRefusals is how many creates in a row may be refused for want of room.
const maxRefusals = 10

// doubtTime is how long a create without a clear answer counts as a box, unless it shows.
const doubtTime = 2 * time.Minute

// StopError is why work on a stack has been stopped from our side.
type StopError struct{ Text string }

func (e *StopError) Error() string { return e.Text }

// guard lets through what a run may do to a stack: make few boxes, not too fast, and work on those only.
type guard struct {
	caps  Caps
	life  Lifetime
	image string // in place of the usual one, "" = leave it
	book  *ledger
	stop  func(error) // told once why nothing more may be made
	now   func() time.Time

	mu      sync.Mutex
	boxes   map[string]string    // our boxes that are there: id → name
	doubt   map[string]time.Time // names of creates that may have made a box, and since when
	past    memory               // ids and names of ours that are gone
	foreign map[string]bool      // ids and names that a list showed and that are not ours
	refused int                  // creates refused for want of room since the last success
	bytes   int64
	stopped error
}

var _ stack.Gate = (*guard)(nil)

func newGuard(cfg Config, book *ledger, stop func(error)) *guard {
	g := &guard{caps: cfg.Caps, life: cfg.Lifetime, image: cfg.Image, book: book, stop: stop, now: time.Now,
		boxes: map[string]string{}, doubt: map[string]time.Time{}, foreign: map[string]bool{}, past: memory{known: map[string]bool{}}}
	return g
}

// usualImage is what the actions ask for.
const usualImage = "alpine:latest"

// Before implements stack.Gate.
func (g *guard) Before(q *stack.Request) error {
	if q.Method == http.MethodGet || q.Method == http.MethodHead {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	box, ok := boxOf(q.Path)
	switch {
	case !ok:
		return g.trip("refused to send %s %s: it is not about a box, and only boxes of this run may be changed", q.Method, q.Path)
	case box == "" && q.Method == http.MethodPost:
		return g.beforeCreate(q)
	case g.foreign[box] && !g.mine(box):
		return g.trip("refused to send %s %s: that box is not of this run", q.Method, q.Path)
	}
	return nil
}

// boxOf returns the box that a path is about, "" for all of them. ok is false for other paths.
func boxOf(path string) (box string, ok bool) {
	path, _, _ = strings.Cut(path, "?")
	rest, ok := strings.CutPrefix(path, "/boxes")
	if !ok || rest != "" && rest[0] != '/' {
		return "", false
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "/")
	box, err := url.PathUnescape(first)
	return box, err == nil && (box != "" || strings.Trim(rest, "/") == "")
}

// onlyBox reports whether a path is that of a box and not of something below it.
func onlyBox(path string) bool {
	path, _, _ = strings.Cut(path, "?")
	return strings.Count(strings.TrimSuffix(path, "/"), "/") == 2
}

// mine reports whether box is the id or name of a box of this run.
func (g *guard) mine(box string) bool {
	if _, there := g.boxes[box]; there || g.past.known[box] {
		return true
	}
	_, asked := g.doubt[box]
	return asked
}

// probing reports whether q is sent without the right to: it must not make anything.
func probing(q *stack.Request) bool { return q.Authorization != nil || q.Token != nil }

func (g *guard) beforeCreate(q *stack.Request) error {
	body, err := fields(q.Body)
	if err != nil {
		return err
	}
	if g.stopped != nil {
		return g.stopped
	}
	g.expire()
	if n := len(g.boxes) + len(g.doubt); n >= g.caps.Boxes && !probing(q) {
		return g.trip("%d boxes of this run are on the stack and no more are allowed: some could not be removed; look at them, then chaos stack sweep, or raise --max-boxes", n)
	}
	name, _ := body["name"].(string)
	if err := g.book.ask(name); err != nil {
		return g.trip("cannot write the ledger, without which boxes could not be found again: %v", err)
	}
	if body["image"] == usualImage && g.image != "" {
		body["image"] = g.image
	}
	for field, d := range map[string]time.Duration{"auto_stop": g.life.AutoStop, "auto_delete": g.life.AutoDelete} {
		if _, has := body[field]; !has && d > 0 {
			body[field] = int(d.Seconds())
		}
	}
	q.Body = body
	if name != "" {
		g.doubt[name] = g.now()
	}
	return nil
}

// fields is a body as a map that may be changed.
func fields(body any) (map[string]any, error) {
	if m, ok := body.(map[string]any); ok {
		return maps.Clone(m), nil
	}
	out := map[string]any{}
	data, err := json.Marshal(body)
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	if err != nil || out == nil {
		return nil, fmt.Errorf("the body of a create is no object: %w", errors.Join(err))
	}
	return out, nil
}

// trip stops the making of boxes for good. What is there may still be looked at and removed.
func (g *guard) trip(format string, args ...any) error {
	err := &StopError{fmt.Sprintf(format, args...)}
	if g.stopped == nil {
		g.stopped = err
		g.stop(err)
	}
	return err
}

// Received implements stack.Gate.
func (g *guard) Received(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.bytes += int64(n); g.bytes > g.caps.OutputBytes && g.stopped == nil {
		_ = g.trip("the stack has sent more than %d MiB, as much as is allowed; raise --max-output", g.caps.OutputBytes>>20)
	}
}

// wireBox is what is read of a box.
type wireBox struct {
	ID   string `json:"box_id"`
	Name string `json:"name"`
}

// After implements stack.Gate.
func (g *guard) After(q stack.Request, res stack.Response, err error) {
	box, ok := boxOf(q.Path)
	if !ok {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case q.Method == http.MethodPost && box == "":
		g.afterCreate(q, res, err)
	case err != nil || res.Status == 0:
	case q.Method == http.MethodDelete && onlyBox(q.Path) && !probing(&q) && (res.Status/100 == 2 || res.Status == 404 || res.Status == 410):
		g.gone(box)
	case q.Method == http.MethodGet && box == "" && res.Status == 200:
		g.listed(res.Body)
	}
}

func (g *guard) afterCreate(q stack.Request, res stack.Response, err error) {
	body, _ := q.Body.(map[string]any)
	name, _ := body["name"].(string)
	var b wireBox
	switch {
	case err != nil || res.Status == 408 || res.Status >= 500 && res.Status != 503:
		return // it stays in doubt
	case res.Status/100 == 2 && json.Unmarshal(res.Body, &b) == nil && b.ID != "":
		g.refused = 0
		delete(g.doubt, name)
		g.adopt(b.ID, name)
	case res.Status/100 == 2:
		return // a box of which only the name is known
	default:
		delete(g.doubt, name)
		g.past.add(name)
		_ = g.book.refused(name) // it is looked for in vain, that is all
	}
	if res.Status != 429 && res.Status != 503 {
		return
	}
	if g.refused++; g.refused == maxRefusals && g.stopped == nil {
		_ = g.trip("the stack refused %d creates in a row for want of room (the last with %d): give it room or another quota, or lower --workers and --max-boxes", maxRefusals, res.Status)
	}
}

// adopt takes the box id for ours.
func (g *guard) adopt(id, name string) {
	g.boxes[id] = name
	delete(g.foreign, id)
	if err := g.book.made(id, name); err != nil && g.stopped == nil {
		_ = g.trip("cannot write the ledger, without which boxes could not be found again: %v", err)
	}
}

// gone forgets a box, given by its id or its name.
func (g *guard) gone(box string) {
	for id, name := range g.boxes {
		if id == box || name == box {
			delete(g.boxes, id)
			g.past.add(id)
			g.past.add(name)
			_ = g.book.gone(id)
		}
	}
	if _, asked := g.doubt[box]; asked {
		delete(g.doubt, box)
		g.past.add(box)
		_ = g.book.gone(box)
	}
}

// listed learns from a list which boxes are not ours, and the ids of some that are.
func (g *guard) listed(body []byte) {
	var l struct {
		Boxes []wireBox `json:"boxes"`
	}
	if json.Unmarshal(body, &l) != nil {
		return
	}
	if len(g.foreign) > 5*memorySize {
		g.foreign = map[string]bool{}
	}
	for _, b := range l.Boxes {
		_, asked := g.doubt[b.Name]
		switch {
		case g.mine(b.ID):
		case b.Name != "" && asked:
			g.adopt(b.ID, b.Name)
		case b.Name != "" && g.past.known[b.Name]: // a name may be had again
		default:
			g.foreign[b.ID], g.foreign[b.Name] = true, true
		}
	}
	delete(g.foreign, "")
}

// expire stops counting creates without an answer of which nothing has been seen for long.
func (g *guard) expire() {
	for name, since := range g.doubt {
		if g.now().Sub(since) > doubtTime {
			delete(g.doubt, name)
			g.past.add(name)
		}
	}
}

// memory remembers the last words of many.
type memory struct {
	known map[string]bool
	order []string // a ring once it is full
	next  int
}

const memorySize = 20_000

func (m *memory) add(word string) {
	if word == "" || m.known[word] {
		return
	}
	m.known[word] = true
	if len(m.order) < memorySize {
		m.order = append(m.order, word)
		return
	}
	delete(m.known, m.order[m.next])
	m.order[m.next] = word
	m.next = (m.next + 1) % memorySize
}
