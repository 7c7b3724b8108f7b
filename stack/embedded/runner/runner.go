package runner

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"chaos/stack/embedded/bugs"
	"chaos/stack/embedded/child"
	"chaos/stack/journal"
)

// identifier is the SYSLOG_IDENTIFIER of the runner's log lines.
const identifier = "boxlite-runner"

// Runner owns boxes and executions. Start makes one, Close ends it.
type Runner struct {
	cfg      settled
	log      *zap.Logger
	journal  journal.Writer // nil when there is no log
	listener net.Listener
	server   *http.Server
	api      *apiClient
	jobs     *jobQueue
	events   *eventQueue // seeded bug stdout-race
	lifeline *os.File    // of the boxes; nil = none

	ctx      context.Context // ends when the boxes are gone
	end      context.CancelFunc
	working  context.Context // ends when Close begins: no polling, syncing and reaping any more
	stopWork context.CancelFunc
	work     sync.WaitGroup
	attached sync.WaitGroup // attach sessions

	mu       sync.RWMutex
	boxes    map[string]*box       // by API id
	execs    map[string]*execution // by execution id
	lost     []*boxRun             // seeded bug leader-only-kill: sandboxes nobody remembers
	draining bool                  // no attach session may begin any more
}

// Start starts a runner. It takes over the boxes in its directory, listens, and polls the API for work
// until Close or Leave. It does not wait for the API to be there.
func Start(cfg Config) (*Runner, error) {
	set, err := cfg.settle()
	if err != nil {
		return nil, err
	}
	r := &Runner{cfg: set, log: zap.NewNop(), boxes: map[string]*box{}, execs: map[string]*execution{}}
	if cfg.Lifeline > 0 {
		syscall.CloseOnExec(cfg.Lifeline)
		r.lifeline = os.NewFile(uintptr(cfg.Lifeline), "lifeline")
	}
	if err := os.MkdirAll(r.boxesDir(), 0o700); err != nil {
		return nil, fmt.Errorf("create box directory: %w", err)
	}
	if r.listener, err = child.Listen(cfg.Listen); err != nil {
		return nil, err
	}
	if cfg.Log != "" {
		if r.journal, err = journal.Open(cfg.Log); err != nil {
			return nil, errors.Join(fmt.Errorf("open log: %w", err), r.listener.Close())
		}
		r.log = zap.New(journal.NewCore(r.journal, identifier, zap.InfoLevel))
	}
	r.ctx, r.end = context.WithCancel(context.Background())
	if err := r.adoptAll(); err != nil { // callers wait in the listener's queue meanwhile
		r.end()
		return nil, errors.Join(err, r.listener.Close())
	}
	r.api = newAPIClient(set, "http://"+r.Addr())
	r.jobs = newJobQueue(r)
	r.startWork()
	r.serve() // at last: callers may be there already
	r.log.Info("runner started", zap.String("addr", r.Addr()), zap.String("bugs", set.bugs.String()))
	return r, nil
}

// Addr is where the runner listens, host:port.
func (r *Runner) Addr() string { return r.listener.Addr().String() }

func (r *Runner) boxesDir() string { return filepath.Join(r.cfg.Dir, "boxes") }

// sendBuffer is how much the kernel may take from us for a caller that does not read, in bytes. By
// itself it would take megabytes, all of which the caller would get late.
const sendBuffer = 128 << 10

// connKey is the context key of the connection a request came on.
type connKey struct{}

func (r *Runner) serve() {
	ln := r.listener
	if r.cfg.bugs.Has(bugs.AttachRST) {
		ln = abortListener{ln}
	}
	r.server = &http.Server{
		Handler:           r.routes(),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          zap.NewStdLog(r.log),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if b, ok := c.(interface{ SetWriteBuffer(int) error }); ok {
				_ = b.SetWriteBuffer(sendBuffer)
			}
			return context.WithValue(ctx, connKey{}, c)
		},
	}
	go func() {
		if err := r.server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			r.log.Error("cannot serve", zap.Error(err))
		}
	}()
}

func (r *Runner) startWork() {
	r.working, r.stopWork = context.WithCancel(r.ctx)
	if r.cfg.bugs.Has(bugs.StdoutRace) {
		r.events = &eventQueue{}
		go r.events.loop(r.ctx.Done())
	}
	if r.cfg.bugs.Has(bugs.InfoStale) {
		go r.noteEnds(r.ctx.Done())
	}
	r.work.Go(func() { r.poll(r.working) })
	r.work.Go(func() { r.syncLoop(r.working) })
	r.work.Go(func() { r.reapLoop(r.working) })
}

// drainTimeout is how long Close lets attached callers read the end of their executions.
const drainTimeout = 2 * time.Second

// Close stops the runner: it takes no more work, kills every box, lets attached callers see the
// exit that this gives their executions, and closes the server.
func (r *Runner) Close() error {
	r.stopWork()
	r.work.Wait()
	r.jobs.wait()
	err := r.killAll()

	done := r.drain()
	select {
	case <-done:
	case <-time.After(drainTimeout):
	}
	r.end()
	<-done
	return errors.Join(err, r.shutDown())
}

// Leave stops the runner and leaves its boxes to another one. Attached callers are told that it goes. The
// process must end next: until then the boxes are held.
func (r *Runner) Leave() error {
	r.stopWork()
	r.work.Wait()
	r.jobs.wait()
	done := r.drain()
	r.end()
	<-done
	return r.shutDown()
}

// drain lets no attach session begin any more. The channel is closed when all have ended.
func (r *Runner) drain() <-chan struct{} {
	r.mu.Lock()
	r.draining = true
	r.mu.Unlock()
	done := make(chan struct{})
	go func() { r.attached.Wait(); close(done) }()
	return done
}

func (r *Runner) shutDown() error {
	err := r.server.Close()
	r.log.Info("runner stopped")
	if r.journal != nil {
		err = errors.Join(err, r.journal.Close())
	}
	r.api.close()
	return err
}

// killAll destroys every box, also those a seeded bug has forgotten.
func (r *Runner) killAll() error {
	r.mu.RLock()
	boxes := make([]*box, 0, len(r.boxes))
	for _, b := range r.boxes {
		boxes = append(boxes, b)
	}
	lost := r.lost
	r.mu.RUnlock()
	errs := make([]error, len(boxes)+len(lost))
	var wg sync.WaitGroup
	for i, b := range boxes {
		wg.Go(func() { errs[i] = r.destroyBox(b) })
	}
	for i, run := range lost {
		wg.Go(func() { errs[len(boxes)+i] = run.sb.Kill() })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// beginSession counts an attach session in, unless the runner is about to end.
func (r *Runner) beginSession() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.draining {
		return errDraining
	}
	r.attached.Add(1)
	return nil
}

var errDraining = errorf(http.StatusServiceUnavailable, "portal error: the runner is shutting down")

func (r *Runner) box(id string) (*box, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if b := r.boxes[id]; b != nil {
		return b, nil
	}
	return nil, boxNotFound(id)
}

func (r *Runner) addBox(b *box) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.boxes[b.id] = b
}

func (r *Runner) dropBox(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.boxes, id)
}

// forget keeps a sandbox alive that the books no longer mention.
func (r *Runner) forget(run *boxRun) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost = append(r.lost, run)
}

// execution finds an execution of a box. One of another box is as unknown as one that never was.
func (r *Runner) execution(boxID, id string) (*execution, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if e := r.execs[id]; e != nil && e.box.id == boxID {
		return e, nil
	}
	return nil, execNotFound(id)
}

func (r *Runner) register(e *execution) {
	e.box.mu.Lock()
	e.box.execs[e.id] = e
	e.box.mu.Unlock()
	r.mu.Lock()
	r.execs[e.id] = e
	r.mu.Unlock()
}

// evict forgets an execution. Callers that are attached keep it until they have its end.
func (r *Runner) evict(e *execution) {
	r.mu.Lock()
	delete(r.execs, e.id)
	r.mu.Unlock()
	e.box.mu.Lock()
	if e.box.execs[e.id] == e { // only once
		delete(e.box.execs, e.id)
		e.box.forgotten += e.out.total()
	}
	e.box.mu.Unlock()
}
