package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"chaos/model"
	"chaos/stack"
)

// fake is a correct stack in memory: one server that answers as BoxLite's API and runner do together,
// keeps a runner's journal, and runs the payloads of execs by itself. What the contract leaves open it
// does now one way and now another.
type fake struct {
	*httptest.Server
	t      testing.TB
	client *stack.Client
	limits model.Limits
	ctx    context.Context
	work   sync.WaitGroup
	hooks  hooks

	mu     sync.Mutex
	rnd    *rand.Rand
	serial int
	leases int
	boxes  map[string]*fakeBox // by id; removed ones are not here
	orgs   map[string]*fakeOrg // by key
	names  map[string]*fakeBox // by organization and name
	execs  map[string]*fakeExec
	log    []stack.LogEntry
	left   map[string]bool // boxes that still have something on the machine
}

// hooks let a test look at, hold back or spoil what the fake does. All may be nil and must not change
// once the fake serves.
type hooks struct {
	before    func(op string, q *http.Request) // a request came; it is handled when this returns
	cut       func(op string, status int) bool // drop the connection instead of this answer
	midway    func(b *fakeBox)                 // a box is in the books but not yet made
	mute      func(line string) bool           // do not log this line
	since     func() ([]stack.LogEntry, error) // entries that come on top, or the failure to read
	residue   func() ([]model.Residue, error)  // leftovers that come on top, or the failure to look
	shared    bool                             // others use the stack as well
	unlogged  bool                             // the journal cannot be read
	unguarded bool                             // the machine cannot be searched
}

type fakeBox struct {
	id, name string
	org      *fakeOrg
	cpus     int
	memory   int
	made     time.Time
	execs    int           // that were started
	refused  int           // that were not
	status   string        // configured, running, stopping, stopped
	removed  bool          // its owner does not see it any more
	settled  chan struct{} // closed when the change under way is over
	doomed   bool          // the stop under way has looked for execs already
	fakeHome
}

const fakeKey = "fake-key"

// startFake starts a fake with its own choices drawn from seed.
func startFake(t testing.TB, seed uint64, h hooks) *fake {
	ctx, cancel := context.WithCancel(context.Background())
	f := &fake{t: t, ctx: ctx, hooks: h, rnd: rand.New(rand.NewPCG(seed, 2)), boxes: map[string]*fakeBox{}, names: map[string]*fakeBox{}, orgs: map[string]*fakeOrg{fakeKey: {}, fakeOther: {}},
		execs: map[string]*fakeExec{}, left: map[string]bool{},
		limits: model.Limits{Call: time.Minute, Resolve: 30 * time.Second, Grace: 20 * time.Millisecond, Converge: 30 * time.Second, Slot: 30 * time.Second, Stall: time.Second}}
	mux := http.NewServeMux()
	route := func(op, pattern string, handle func(q *http.Request) (int, any)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, q *http.Request) { f.serve(op, w, q, handle) })
	}
	route(model.OpCreate, "POST /v1/boxes", f.create)
	route(model.OpList, "GET /v1/boxes", f.list)
	route(model.OpGet, "GET /v1/boxes/{box}", f.onBox(f.get))
	route(model.OpRemove, "DELETE /v1/boxes/{box}", f.onBox(f.remove))
	route(model.OpStart, "POST /v1/boxes/{box}/start", f.onBox(f.start))
	route(model.OpStop, "POST /v1/boxes/{box}/stop", f.onBox(f.stop))
	route(model.OpMetrics, "GET /v1/boxes/{box}/metrics", f.onBox(f.metrics))
	route(model.OpMetrics, "GET /v1/metrics", f.orgMetrics)
	route("me", "GET /v1/me", f.me)
	route(model.OpExec, "POST /v1/boxes/{box}/exec", f.onBox(f.exec))
	route(model.OpInfo, "GET /v1/boxes/{box}/executions/{exec}", f.onExec(f.info))
	route(model.OpKill, "DELETE /v1/boxes/{box}/executions/{exec}", f.onExec(f.kill))
	route(model.OpSignal, "POST /v1/boxes/{box}/executions/{exec}/signal", f.signal)
	route(model.OpResize, "POST /v1/boxes/{box}/executions/{exec}/resize", f.onExec(f.resize))
	mux.HandleFunc("GET /v1/boxes/{box}/executions/{exec}/attach", f.attach)
	f.Server = httptest.NewServer(mux)
	f.client = stack.New(stack.Endpoint{URL: f.URL, Key: fakeKey})
	t.Cleanup(func() {
		cancel()
		f.client.Close()
		f.CloseClientConnections()
		f.Close()
		f.work.Wait()
	})
	return f
}

// The fake as a target.

var _ stack.Target = (*fake)(nil)

func (f *fake) Client() *stack.Client  { return f.client }
func (f *fake) Profile() string        { return "cloud" }
func (f *fake) Flags() model.Flags     { return nil }
func (f *fake) Describe() string       { return "fake" }
func (f *fake) Limits() model.Limits   { return f.limits }
func (f *fake) Exclusive() bool        { return !f.hooks.shared }
func (f *fake) ExecLogged() bool       { return true }
func (f *fake) Dead() <-chan error     { return nil }
func (f *fake) Control() stack.Control { return nil }

func (f *fake) Scheduler() stack.Scheduler { return nil }

func (f *fake) Journal() stack.JournalSource {
	if f.hooks.unlogged {
		return nil
	}
	return fakeJournal{f}
}

func (f *fake) Residue(context.Context) ([]model.Residue, bool, error) {
	if f.hooks.unguarded {
		return nil, false, nil
	}
	var out []model.Residue
	if f.hooks.residue != nil {
		more, err := f.hooks.residue()
		if err != nil {
			return nil, true, err
		}
		out = more
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for id := range f.left {
		out = append(out, model.Residue{BoxID: id, What: "process 4711: sleep 60"})
	}
	return out, true, nil
}

type fakeJournal struct{ f *fake }

func (j fakeJournal) Describe() string { return "fake journal" }

func (j fakeJournal) Since(_ context.Context, cursor string) ([]stack.LogEntry, string, error) {
	var out []stack.LogEntry
	if j.f.hooks.since != nil {
		more, err := j.f.hooks.since()
		if err != nil {
			return nil, cursor, err
		}
		out = more
	}
	j.f.mu.Lock()
	defer j.f.mu.Unlock()
	at, _ := strconv.Atoi(cursor)
	return append(out, j.f.log[at:]...), strconv.Itoa(len(j.f.log)), nil
}

// count returns how many boxes there are.
func (f *fake) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.boxes)
}

// print logs a line of the runner. The caller holds the mutex.
func (f *fake) print(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if f.hooks.mute == nil || !f.hooks.mute(line) {
		f.log = append(f.log, stack.LogEntry{Time: time.Now(), Unit: "boxlite-runner", Message: line})
	}
}

// chance is true in percent of 100 calls. The caller holds the mutex.
func (f *fake) chance(percent int) bool { return f.rnd.IntN(100) < percent }

// pause waits for up to 3 ms, mostly less.
func (f *fake) pause() {
	f.mu.Lock()
	d := time.Duration(f.rnd.IntN(1000)*f.rnd.IntN(1000)) * 3 * time.Nanosecond
	f.mu.Unlock()
	f.wait(d, nil)
}

// wait waits for d and reports whether it did so in full, before the fake ended or quit was closed.
func (f *fake) wait(d time.Duration, quit <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-quit:
	case <-f.ctx.Done():
	}
	return false
}

// serve answers a request that is no attach.
func (f *fake) serve(op string, w http.ResponseWriter, q *http.Request, handle func(q *http.Request) (int, any)) {
	if f.hooks.before != nil {
		f.hooks.before(op, q)
	}
	status, body := http.StatusUnauthorized, flat(q, 401, "unauthenticated", "Unauthorized")
	if f.org(q) != nil {
		status, body = handle(q)
	}
	if f.hooks.cut != nil && f.hooks.cut(op, status) {
		if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
			_ = conn.Close()
		}
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if body != nil {
		_ = json.NewEncoder(w).Encode(body)
	}
}

// flat is an error in the API's words, short one in the runner's.
func flat(q *http.Request, status int, code, message string) any {
	return map[string]any{"path": q.URL.Path, "timestamp": time.Now().UTC().Format(time.RFC3339), "statusCode": status,
		"error": http.StatusText(status), "message": message, "code": code}
}

func short(message string) any { return map[string]string{"error": message} }

// onBox looks up the box of a request and handles it under the mutex.
func (f *fake) onBox(handle func(q *http.Request, b *fakeBox) (int, any)) func(q *http.Request) (int, any) {
	return func(q *http.Request) (int, any) {
		f.mu.Lock()
		defer f.mu.Unlock()
		b := f.box(q)
		if b == nil {
			return 404, flat(q, 404, "not_found", "box not found: "+q.PathValue("box"))
		}
		return handle(q, b)
	}
}

func (b *fakeBox) json() any {
	return map[string]any{"box_id": b.id, "name": b.name, "status": b.status, "image": "alpine:latest", "cpus": b.cpus,
		"memory_mib": b.memory, "created_at": b.made.Format(time.RFC3339), "updated_at": b.made.Format(time.RFC3339)}
}

func decode[T any](q *http.Request) (out T) {
	data, _ := io.ReadAll(q.Body)
	_ = json.Unmarshal(data, &out)
	return out
}

func (f *fake) list(q *http.Request) (int, any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := []any{}
	for _, b := range f.boxes {
		if b.org == f.orgs[key(q)] {
			all = append(all, b.json())
		}
	}
	return 200, map[string]any{"boxes": all}
}

func (f *fake) get(_ *http.Request, b *fakeBox) (int, any) { return 200, b.json() }

func (f *fake) metrics(q *http.Request, b *fakeBox) (int, any) {
	if b.status != "running" && f.chance(50) {
		return 409, flat(q, 409, "stopped", "stopped: "+b.id)
	}
	return 200, map[string]any{"cpu_percent": 1.5, "commands_executed_total": b.execs, "exec_errors_total": b.refused, "bytes_sent_total": 0, "bytes_received_total": 0}
}

func (f *fake) start(q *http.Request, b *fakeBox) (int, any) {
	switch b.status {
	case "stopping":
		return 400, flat(q, 400, "invalid_state", "State change in progress")
	case "stopped":
		f.job("START_BOX", b)
		b.status, b.settled, b.doomed = "configured", make(chan struct{}), false
		f.work.Go(func() {
			f.pause()
			f.mu.Lock()
			defer f.mu.Unlock()
			b.status = "running"
			close(b.settled)
		})
	}
	// One that starts already is joined.
	settled := b.settled
	f.mu.Unlock()
	<-settled
	f.mu.Lock()
	return 201 - f.rnd.IntN(2), b.json()
}

func (f *fake) stop(q *http.Request, b *fakeBox) (int, any) {
	if b.status != "running" {
		return 400, flat(q, 400, "invalid_state", "Box is not started")
	}
	b.status, b.settled = "stopping", make(chan struct{})
	f.job("STOP_BOX", b)
	f.work.Go(func() {
		f.pause()
		f.endExecs(b)
		f.pause()
		f.mu.Lock()
		defer f.mu.Unlock()
		b.status = "stopped"
		b.org.stopped++
		close(b.settled)
	})
	return 201 - f.rnd.IntN(2), b.json()
}

// job logs that the runner begins to work on b.
func (f *fake) job(kind string, b *fakeBox) {
	f.print("Executing job job_id=9 job_type=%s resource_type=box resource_id=%s", kind, b.id)
}

// endExecs kills what runs in b and waits for its end; nothing starts in b any more.
func (f *fake) endExecs(b *fakeBox) {
	f.mu.Lock()
	b.doomed = true
	var running []*fakeExec
	for _, e := range f.execs {
		if e.box == b {
			running = append(running, e)
		}
	}
	f.mu.Unlock()
	for _, e := range running {
		e.die(137)
		<-e.over
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(b.kids)
}

func (f *fake) remove(q *http.Request, b *fakeBox) (int, any) {
	if b.status == "configured" || b.status == "stopping" {
		return 400, flat(q, 400, "invalid_state", "Box state change in progress")
	}
	b.removed = true
	delete(f.boxes, b.id)
	delete(f.names, fmt.Sprintf("%p %s", b.org, b.name))
	b.org.boxes--
	f.work.Go(func() {
		f.pause()
		f.endExecs(b)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.job("DESTROY_BOX", b)
		for id, e := range f.execs {
			if e.box == b {
				delete(f.execs, id)
			}
		}
		delete(f.left, b.id)
		f.print("Job completed successfully job_id=9 job_type=DESTROY_BOX resource_type=box resource_id=%s", b.id)
	})
	return 204, nil
}
