package baseline

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"chaos/model"
	"chaos/stack"
	"chaos/stack/embedded"
)

// outcome is how one trial of one tester went.
type outcome struct {
	found    bool
	problem  string
	after    time.Duration // to the first failure
	before   int           // steps until then
	steps    int           // of what the shrinker left
	failures int           // of that, run again, whatever the failure
	runs     int
	tried    int      // runs of the search
	log      []string // of the run that failed first
	err      error
}

// hunt is one trial of the rapid test: a few workers search, and who fails first shrinks.
type hunt struct {
	t         *testing.T
	name      string
	target    *embedded.Target
	autostart bool
	together  int
	began     time.Time
	limits    limits

	mu       sync.Mutex
	winner   int // worker that failed first; -1 = none
	out      outcome
	again    int  // runs of the shrunk test that are still to be made; -1 = not yet there
	position int  // of the run within the replay of a fail file
	failing  bool // the last run failed
}

// limits are the same for every tester.
type limits struct {
	seed           int64
	workers        int
	budget, shrink time.Duration
	again          int
}

// setFlag sets a flag of rapid, of which there is one set for the whole process.
func setFlag(name, value string) {
	if err := flag.Set("rapid."+name, value); err != nil {
		panic(err)
	}
}

// seeding keeps others from setting the seed until a check has read it.
var seeding sync.Mutex

// search runs the workers until one has failed and shrunk, or the time is up.
func (h *hunt) search() outcome {
	h.winner, h.again, h.began = -1, -1, time.Now()
	var wg sync.WaitGroup
	for i := range h.limits.workers {
		seeding.Lock()
		setFlag("seed", fmt.Sprint(h.limits.seed*1_000_003+int64(i)*7_919))
		started := make(chan struct{})
		var once sync.Once
		ready := func() { once.Do(func() { close(started) }) }
		wg.Go(func() { h.check(i, ready) })
		<-started
		seeding.Unlock()
	}
	wg.Wait()
	if h.out.found && h.limits.again > 0 {
		h.again = h.limits.again
		for h.again > 0 && h.out.err == nil {
			h.position = 0
			h.check(h.winner, func() {})
		}
	}
	return h.out
}

// check is rapid.Check in a goroutine of its own, which stopHere ends.
func (h *hunt) check(worker int, ready func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer ready()
		rapid.Check(&quiet{T: h.t, h: h, name: fmt.Sprintf("%s-%d", h.name, worker)}, func(t *rapid.T) {
			ready()
			h.run(t, worker)
		})
	}()
	<-done
}

// stopHere ends the goroutine that a check runs in: rapid has no other way to stop one.
func stopHere() { runtime.Goexit() }

// run is the property: one run in an organization of its own.
func (h *hunt) run(t *rapid.T, worker int) {
	if !h.enter(worker) {
		return
	}
	lease, err := h.target.Lease(context.Background())
	if err != nil {
		h.mu.Lock()
		h.out.err = errors.Join(h.out.err, err)
		h.mu.Unlock()
		stopHere()
	}
	w := &world{client: lease.Client, quota: lease.Quota, autostart: h.autostart, together: h.together}
	w.over = func() bool { return h.over(worker) }
	failed := false
	w.failed = func(problem string) {
		failed = true
		h.note(worker, problem, w.log)
	}
	defer func() {
		w.close()
		lease.Release()
		h.leave(worker, len(w.log), failed)
	}()
	t.Repeat(w.actions())
	w.finish(t)
}

// over reports whether the search has ended for a worker.
func (h *hunt) over(worker int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.winner >= 0 {
		return h.winner != worker
	}
	return time.Since(h.began) > h.limits.budget || h.out.err != nil
}

// enter decides whether a run is to be made. rapid's shrinker looks at the clock only now and then, so
// once it has had half as much time again as was asked for, runs pass at once, but never between a
// failure and the run that confirms it.
func (h *hunt) enter(worker int) bool {
	if h.over(worker) {
		stopHere()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.again >= 0:
		h.position++
		// A fail file is run twice if it fails the first time, and once more for its output. What comes
		// after a pass is a new search.
		if h.again == 0 || h.position == 2 && !h.failing || h.position > 3 {
			stopHere()
		}
	case h.winner >= 0:
		return h.failing || time.Since(h.began) < h.out.after+h.limits.shrink*3/2
	default:
		h.out.tried++
	}
	return true
}

// note hears of a failure.
func (h *hunt) note(worker int, problem string, log []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	late := time.Since(h.began) > h.limits.budget
	switch {
	case h.winner == worker:
	case h.winner >= 0 || late:
		stopHere()
	default:
		h.winner = worker
		h.out.found, h.out.problem, h.out.after, h.out.before, h.out.log = true, problem, time.Since(h.began), len(log), log
	}
}

// leave hears how a run ended.
func (h *hunt) leave(worker, steps int, failed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.winner != worker {
		return
	}
	h.failing = failed
	if h.again < 0 {
		return
	}
	h.again--
	h.out.runs++
	// A run that fails early does not get to the end of the program.
	h.out.steps = max(h.out.steps, steps)
	if failed {
		h.out.failures++
	}
}

// close removes what is left of a run.
func (w *world) close() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, b := range w.boxes {
		for b.live() && ctx.Err() == nil {
			res, err := w.client.Do(ctx, stack.Request{Method: http.MethodDelete, Path: stack.BoxPath(b.id) + "?force=true"})
			if err != nil || res.Status < 300 || res.Status == http.StatusNotFound {
				break
			}
			pause(ctx)
		}
	}
}

// quiet is a test that a check may fail without failing the test around it.
type quiet struct {
	*testing.T
	h      *hunt
	name   string
	failed bool
}

func (q *quiet) Name() string          { return q.name }
func (q *quiet) Errorf(string, ...any) { q.failed = true }
func (q *quiet) FailNow()              { q.failed = true; runtime.Goexit() }
func (q *quiet) Failed() bool          { return q.failed }
func (q *quiet) Logf(string, ...any)   {}

var _ rapid.TB = &quiet{}

// autostarts reports whether an exec on a stopped box starts it under the contract with these flags.
func autostarts(flags model.Flags) bool { return flags[model.FlagExecOnStopped] == model.Autostart }
