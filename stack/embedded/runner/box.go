package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"chaos/stack/embedded/bugs"
	"chaos/stack/embedded/sandbox"
)

// box is one box of the API: what it was made of, and its sandbox while it runs.
type box struct {
	id      string // the API's
	coreID  string // ours
	dir     string
	image   string
	env     []string
	workDir string
	created time.Time

	// life is held by whoever starts, stops or destroys the box, from beginning to end.
	life sync.Mutex

	mu        sync.Mutex
	run       *boxRun // nil while the box is stopped
	destroyed bool
	execs     map[string]*execution // every execution that is not forgotten
	vars      map[string]string     // seeded bug env-bleed: what executions added to the environment
	spared    *sandbox.Box          // seeded bug stop-spares-children: the sandbox of the last run
	forgotten int64                 // bytes of output of those that are

	started  atomic.Int64 // executions that were started
	failed   atomic.Int64 // executions that could not start
	received atomic.Int64 // bytes of input

	fanout sync.Mutex // seeded bug slow-reader-stall; the clean stack never touches it
}

// boxRun is one run of a box, from a start to the stop, death or destruction that ends it.
type boxRun struct {
	sb      *sandbox.Box
	starts  sync.WaitGroup // executions about to start; grows only under box.mu and while !closing
	closing bool           // no execution may start any more; guarded by box.mu
	swept   atomic.Bool    // seeded bug stop-exec-orphan: the stop has resolved what it knew of
	waits   atomic.Int32   // seeded bug code-minus-one: executions that are being waited for
}

// admit lets an execution begin to start. The caller calls starts.Done on the run once the
// execution is registered or has failed.
func (b *box) admit() (*boxRun, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.destroyed {
		return nil, boxNotFound(b.id)
	}
	if b.run == nil || b.run.closing {
		return nil, &errStopped{b.id}
	}
	b.run.starts.Add(1)
	return b.run, nil
}

// current returns the run of the box, nil if it is stopped.
func (b *box) current() *boxRun {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.run
}

// running reports whether the box has a live sandbox.
func (b *box) running() bool {
	run := b.current()
	return run != nil && !isGone(run.sb)
}

func isGone(sb *sandbox.Box) bool {
	select {
	case <-sb.Gone():
		return true
	default:
		return false
	}
}

// startBox makes the box run. Starting a running box does nothing.
func (r *Runner) startBox(b *box) error {
	b.life.Lock()
	defer b.life.Unlock()
	if run := b.current(); run != nil {
		if !isGone(run.sb) {
			return nil
		}
		b.retire(run)
	}
	if r.cfg.bugs.Has(bugs.RootfsLost) {
		if err := removeAll(b.dir); err != nil {
			return fmt.Errorf("prepare box directory: %w", err)
		}
		if err := b.save(); err != nil {
			return err
		}
	}
	sb, err := r.startSandbox(b)
	if err != nil {
		return err
	}
	if err := r.makeWorkDir(b, sb); err != nil {
		return errors.Join(err, sb.Kill())
	}
	run := &boxRun{sb: sb}
	b.mu.Lock()
	b.run = run
	b.mu.Unlock()
	r.watch(b, run)
	return nil
}

// watch ends a run whose box dies by itself.
func (r *Runner) watch(b *box, run *boxRun) {
	go func() {
		<-run.sb.Gone()
		b.life.Lock()
		defer b.life.Unlock()
		if b.current() == run {
			r.log.Warn("box died", zap.String("box_id", b.id))
			b.retire(run)
		}
	}()
}

func (r *Runner) startSandbox(b *box) (*sandbox.Box, error) {
	if sb := b.takeSpared(); sb != nil && !isGone(sb) {
		return sb, nil
	}
	return sandbox.Start(r.ctx, sandbox.Config{
		Dir: b.dir, Hostname: b.id, Mode: r.cfg.mode, Env: b.env, Linger: r.cfg.linger, Lifeline: r.lifeline,
	})
}

// makeWorkDir creates the box's working directory, as container runtimes do.
func (r *Runner) makeWorkDir(b *box, sb *sandbox.Box) error {
	switch {
	case b.workDir == "":
		return nil
	case r.cfg.mode == sandbox.Plain:
		// A command in the box would create it in the machine's file system. The box's own directories
		// are in b.dir; elsewhere the machine's count as they are.
		if err := os.MkdirAll(filepath.Join(b.dir, filepath.Clean("/"+b.workDir)), 0o755); err != nil {
			return fmt.Errorf("create working directory: %w", err)
		}
		return nil
	}
	p, err := sb.Exec(r.ctx, sandbox.Spec{Argv: []string{"/bin/mkdir", "-p", "--", b.workDir}, Dir: "/"})
	if err != nil {
		return fmt.Errorf("create working directory: %w", err)
	}
	defer p.Close()
	<-p.Exited()
	if p.ExitCode() != 0 {
		return fmt.Errorf("create working directory %q: exit code %d", b.workDir, p.ExitCode())
	}
	return nil
}

// stopBox ends the current run. Stopping a stopped box does nothing. When it returns no process of
// the box is left, every execution of the run is resolved, and no other can start.
func (r *Runner) stopBox(b *box) error {
	b.life.Lock()
	defer b.life.Unlock()
	if r.cfg.bugs.Has(bugs.StopSparesChildren) {
		b.spare()
		return nil
	}
	return r.endRun(b)
}

// endRun does the work of stopBox; the caller holds life.
func (r *Runner) endRun(b *box) error {
	run := b.current()
	if run == nil {
		return nil
	}
	b.refuse(run)
	if r.cfg.bugs.Has(bugs.StopExecOrphan) {
		run.swept.Store(true)
		for _, e := range b.execsOf(run) {
			e.finish(128 + int(syscall.SIGKILL))
		}
		run.starts.Wait() // too late: what registers now is in no table that anybody looks at
		err := run.sb.Kill()
		b.leave(run)
		return err
	}
	if r.cfg.bugs.Has(bugs.LeaderOnlyKill) {
		r.forget(run)
		run.starts.Wait()
		for _, e := range b.execsOf(run) {
			_ = e.proc.Signal(syscall.SIGKILL)
		}
		b.retire(run)
		return nil
	}
	err := run.sb.Kill()
	b.retire(run)
	if err != nil {
		return fmt.Errorf("kill box: %w", err)
	}
	return nil
}

// refuse lets no more executions start.
func (b *box) refuse(run *boxRun) {
	b.mu.Lock()
	defer b.mu.Unlock()
	run.closing = true
}

// retire ends a run whose processes are dead or dying: it waits for the starts that were under way,
// which fail or give an execution that ends at once, and for the end of every execution.
func (b *box) retire(run *boxRun) {
	b.refuse(run)
	run.starts.Wait()
	for _, e := range b.execsOf(run) {
		<-e.done
	}
	b.leave(run)
}

// leave makes the box a stopped one.
func (b *box) leave(run *boxRun) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.run == run {
		b.run = nil
	}
}

func (b *box) execsOf(run *boxRun) []*execution {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []*execution
	for _, e := range b.execs {
		if e.run == run {
			out = append(out, e)
		}
	}
	return out
}

// destroyBox ends the box and forgets it, its executions and its files.
func (r *Runner) destroyBox(b *box) error {
	b.life.Lock()
	defer b.life.Unlock()
	b.mu.Lock()
	b.destroyed = true
	b.mu.Unlock()
	if err := r.endRun(b); err != nil {
		return err
	}
	if sb := b.takeSpared(); sb != nil {
		if err := sb.Kill(); err != nil {
			return fmt.Errorf("kill box: %w", err)
		}
	}
	b.mu.Lock()
	execs := slices.Collect(maps.Values(b.execs))
	b.mu.Unlock()
	for _, e := range execs {
		r.evict(e)
	}
	r.dropBox(b.id)
	dir := b.dir
	if r.cfg.bugs.Has(bugs.BoxDirsShared) {
		dir = filepath.Join(r.boxesDir(), b.id)
	}
	if err := removeAll(dir); err != nil {
		return fmt.Errorf("remove box directory: %w", err)
	}
	return nil
}

// removeAll is os.RemoveAll also for directories that their owner has closed to himself.
func removeAll(dir string) error {
	err := os.RemoveAll(dir)
	if err == nil || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}
