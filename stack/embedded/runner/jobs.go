package runner

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"

	"chaos/stack/embedded/bugs"
)

// jobQueue performs jobs: those of one box one after the other in the order they came, those of
// different boxes at the same time.
type jobQueue struct {
	r  *Runner
	wg sync.WaitGroup

	mu      sync.Mutex
	pending map[string][]job // by box; present while a worker has the box
	known   map[string]bool  // ids of jobs that are queued or in progress
	done    map[string]ending
	doneIDs []string // keys of done, oldest first
}

// ending is how a job went.
type ending struct {
	coreID string
	err    error
}

// keepDone bounds how many jobs that are done are remembered. One can come again only while its completion
// is on its way, so few are needed.
const keepDone = 4096

func newJobQueue(r *Runner) *jobQueue {
	return &jobQueue{r: r, pending: map[string][]job{}, known: map[string]bool{}, done: map[string]ending{}}
}

// add takes a job. The API hands a job out again when it cannot know whether we have it: its answer was
// lost on its way, or it was restarted. One that is already here is not done twice; of one that is done
// the API is told again.
func (q *jobQueue) add(j job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e, done := q.done[j.ID]
	switch {
	case j.Type == "CREATE_BOX" && q.r.cfg.bugs.Has(bugs.ReplayDoublesCreate):
	case q.known[j.ID]:
		return
	case done:
		q.repeat(j.ID, e)
		return
	}
	q.known[j.ID] = true
	waiting, busy := q.pending[j.ResourceID]
	q.pending[j.ResourceID] = append(waiting, j)
	if !busy {
		q.wg.Go(func() { q.work(j.ResourceID) })
	}
}

// work performs the jobs of a box until there are none.
func (q *jobQueue) work(box string) {
	for {
		q.mu.Lock()
		jobs := q.pending[box]
		if len(jobs) == 0 {
			delete(q.pending, box)
			q.mu.Unlock()
			return
		}
		j := jobs[0]
		q.pending[box] = jobs[1:]
		q.mu.Unlock()

		e := q.r.perform(j)

		q.mu.Lock()
		q.finish(j.ID, e)
		q.mu.Unlock()
	}
}

// finish remembers a job that is done. The caller holds the mutex.
func (q *jobQueue) finish(id string, e ending) {
	delete(q.known, id)
	if _, again := q.done[id]; !again {
		q.doneIDs = append(q.doneIDs, id)
	}
	q.done[id] = e
	if len(q.doneIDs) > keepDone {
		delete(q.done, q.doneIDs[0])
		q.doneIDs = q.doneIDs[1:]
	}
}

// repeat tells the API once more how a job went. The caller holds the mutex.
func (q *jobQueue) repeat(id string, e ending) {
	if q.r.cfg.bugs.Has(bugs.CallbackLost) {
		return
	}
	q.known[id] = true
	q.wg.Go(func() {
		q.r.tell(id, e)
		q.mu.Lock()
		defer q.mu.Unlock()
		delete(q.known, id)
	})
}

// wait returns when no job is in progress.
func (q *jobQueue) wait() { q.wg.Wait() }

// Delays between two tries to reach the API.
const (
	firstRetry = 20 * time.Millisecond
	lastRetry  = time.Second
)

// poll asks the API for jobs until ctx ends.
func (r *Runner) poll(ctx context.Context) {
	delay := firstRetry
	for ctx.Err() == nil {
		jobs, err := r.api.poll(ctx)
		if err != nil {
			if ctx.Err() == nil && delay == lastRetry {
				r.log.Warn("cannot poll for jobs", zap.Error(err))
			}
			pause(ctx, delay)
			delay = min(2*delay, lastRetry)
			continue
		}
		delay = firstRetry
		for _, j := range jobs {
			r.jobs.add(j)
		}
	}
}

// pause waits for d or for the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// perform does a job and tells the API how it went. The log lines are what a reader of the journal
// tells the way of a request by; each is written before the API can know.
func (r *Runner) perform(j job) ending {
	log := r.log.With(zap.String("job_id", j.ID), zap.String("job_type", j.Type),
		zap.String("resource_type", "box"), zap.String("resource_id", j.ResourceID))
	log.Info("Executing job")
	coreID, err := r.do(j)
	if err != nil {
		log.Error("Job failed", zap.String("error", err.Error()))
	} else {
		log.Info("Job completed successfully")
	}
	e := ending{coreID, err}
	r.tell(j.ID, e)
	return e
}

// tell tells the API how a job went. A completion that is lost leaves the box in between for ever, so it is
// sent until it arrives.
func (r *Runner) tell(id string, e ending) {
	for delay := firstRetry; ; delay = min(2*delay, lastRetry) {
		sent := r.api.complete(r.working, id, e.coreID, e.err)
		if sent == nil || r.working.Err() != nil || r.cfg.bugs.Has(bugs.CallbackLost) {
			return
		}
		if final(sent) {
			r.log.Warn("completion refused", zap.String("job_id", id), zap.Error(sent))
			return
		}
		pause(r.working, delay)
	}
}

// do does the work of a job. Every kind can be repeated without harm.
func (r *Runner) do(j job) (coreID string, err error) {
	if !plainID(j.ResourceID) {
		return "", fmt.Errorf("invalid argument: box id %q", j.ResourceID)
	}
	if j.Type == "CREATE_BOX" {
		return r.createBox(j.ResourceID, j.Payload)
	}
	b, err := r.box(j.ResourceID)
	switch {
	case j.Type == "DESTROY_BOX" && err != nil:
		return "", nil // it is gone already
	case err != nil:
		return "", err
	}
	switch j.Type {
	case "START_BOX":
		err = r.startBox(b)
	case "STOP_BOX":
		err = r.stopBox(b)
	case "DESTROY_BOX":
		err = r.destroyBox(b)
	default:
		err = fmt.Errorf("unsupported job type %q", j.Type)
	}
	return b.coreID, err
}

// createBox makes a box and, unless it is a lazy one, starts it. A box that is already there is the
// answer to a job that was repeated; if its init has died with an earlier runner it is started again.
func (r *Runner) createBox(id string, p payload) (string, error) {
	if b, err := r.box(id); err == nil && !r.doubled(b) {
		if p.Lazy {
			return b.coreID, nil
		}
		return b.coreID, r.startBox(b)
	}
	b := &box{
		id:      id,
		coreID:  newCoreID(),
		dir:     filepath.Join(r.boxesDir(), id),
		image:   p.Image,
		env:     r.boxEnv(id, p.Env),
		workDir: p.WorkingDir,
		created: time.Now().UTC(),
		execs:   map[string]*execution{},
	}
	if r.cfg.bugs.Has(bugs.BoxDirsShared) && plainID(p.Name) {
		b.dir = filepath.Join(r.boxesDir(), p.Name)
	}
	if !p.Lazy {
		if err := r.startBox(b); err != nil {
			return "", errors.Join(err, removeAll(b.dir))
		}
	}
	if err := b.save(); err != nil {
		b.life.Lock()
		defer b.life.Unlock()
		return "", errors.Join(err, r.endRun(b), removeAll(b.dir))
	}
	r.addBox(b)
	r.log.Info("created box", zap.String("id", b.coreID), zap.String("name", id), zap.String("image", p.Image))
	return b.coreID, nil
}

// syncLoop reports to the API at regular times which boxes really run.
func (r *Runner) syncLoop(ctx context.Context) {
	tick := time.NewTicker(r.cfg.sync)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		// The epoch first: the report is about what was so after it.
		epoch := r.api.epoch.Load()
		if err := r.api.sync(ctx, epoch, r.report()); err != nil && ctx.Err() == nil {
			r.log.Warn("cannot report boxes", zap.Error(err))
		}
	}
}

func (r *Runner) report() []boxReport {
	r.mu.RLock()
	boxes := make([]*box, 0, len(r.boxes))
	for _, b := range r.boxes {
		boxes = append(boxes, b)
	}
	r.mu.RUnlock()
	out := make([]boxReport, 0, len(boxes))
	for _, b := range boxes {
		state := "stopped"
		if b.running() {
			state = "running"
		}
		out = append(out, boxReport{ID: b.id, State: state})
	}
	return out
}
