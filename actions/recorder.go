package actions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"sync"
	"time"

	"chaos/model"
)

// Recorder collects the calls of one run. Its clock is monotonic and starts at zero.
type Recorder struct {
	began time.Time
	mu    sync.Mutex
	next  int
	open  map[*model.Call]bool
	calls []model.Call

	faults []model.Fault
	broken []error         // faults that could not be done or mended
	down   []chan struct{} // of faults during which nobody can be asked; closed when they are mended
}

// Fault records that a fault begins, and returns what records its end: err is what went wrong with
// breaking or mending, which is the harness's fault and not the stack's. What this stack does not
// support leaves no trace.
func (r *Recorder) Fault(step int, name string, excuse model.Excuse) (mended func(err error)) {
	f := model.Fault{Step: step, Name: name, From: r.Now(), Excuse: excuse}
	over := make(chan struct{})
	if excuse.Down {
		r.mu.Lock()
		r.down = append(r.down, over)
		r.mu.Unlock()
	}
	return func(err error) {
		close(over)
		r.mu.Lock()
		defer r.mu.Unlock()
		if errors.Is(err, errors.ErrUnsupported) {
			return // nothing was done
		}
		f.To = r.Now()
		r.faults = append(r.faults, f)
		if err != nil {
			r.broken = append(r.broken, fmt.Errorf("%s: %w", name, err))
		}
	}
}

// AwaitUp returns when somebody can be asked again, or when ctx ends.
func (r *Recorder) AwaitUp(ctx context.Context) {
	r.mu.Lock()
	down := slices.Clone(r.down)
	r.mu.Unlock()
	for _, over := range down {
		select {
		case <-over:
		case <-ctx.Done():
			return
		}
	}
}

// Faults returns the faults that are over, in the order in which they ended, and what went wrong.
func (r *Recorder) Faults() ([]model.Fault, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.faults), errors.Join(r.broken...)
}

// NewRecorder returns a recorder whose clock starts now.
func NewRecorder() *Recorder {
	return &Recorder{began: time.Now(), open: map[*model.Call]bool{}}
}

// Began returns the wall-clock time of zero.
func (r *Recorder) Began() time.Time { return r.began }

// Now returns nanoseconds since the run began.
func (r *Recorder) Now() int64 { return int64(time.Since(r.began)) }

func (r *Recorder) begin(c *model.Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.ID = r.next
	r.next++
	r.open[c] = true
	c.Invoke = r.Now()
}

func (r *Recorder) end(c *model.Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.Return = r.Now()
	delete(r.open, c)
	r.calls = append(r.calls, *c)
}

// StartedSince reports whether something that starts box under life, and was not refused, has been
// under way at or after the given time: then the box need not become stopped by a stop from before.
func (r *Recorder) StartedSince(life model.Lifecycle, box model.Ref, since int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	starts := func(op string) bool { return op == model.OpStart || op == model.OpExec && life.Autostart }
	for c := range r.open {
		if starts(c.Op) && c.Box == box {
			return true
		}
	}
	return slices.ContainsFunc(r.calls, func(c model.Call) bool {
		return starts(c.Op) && c.Box == box && c.Return >= since && (c.Outcome != model.Rejected || life.Changes(&c))
	})
}

// Calls returns everything recorded so far in order of invocation. Calls still open have no answer
// and count as unknown.
func (r *Recorder) Calls() []model.Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := append([]model.Call(nil), r.calls...)
	for c := range r.open {
		// The owner may still write to an open call, so only what begin set is safe to copy.
		out = append(out, model.Call{ID: c.ID, Step: c.Step, Client: c.Client, Op: c.Op, Box: c.Box, BoxID: c.BoxID, Exec: c.Exec,
			Invoke: c.Invoke, Return: r.Now(), Outcome: model.Unknown, Error: "still open when the run ended"})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].ID < out[j].ID })
	return out
}
