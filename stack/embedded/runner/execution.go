package runner

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"chaos/stack/embedded/bugs"
	"chaos/stack/embedded/sandbox"
)

// execution is one command in a box, from its start until it is forgotten.
type execution struct {
	id      string
	box     *box
	run     *boxRun
	command string
	tty     bool
	started time.Time
	proc    *sandbox.Process
	out     output
	in      *stdin
	bugs    bugs.Set
	late    *eventQueue // seeded bug stdout-race: the hop between pump and log; nil in the clean stack
	log     *zap.Logger
	grace   time.Duration // from SIGTERM at the end of the time limit to SIGKILL
	seeded  seededEnding

	// done is closed when the execution has its exit code and its output is complete.
	done chan struct{}
	once sync.Once

	mu       sync.Mutex
	code     int       // valid once done
	ended    time.Time // valid once done
	writer   bool      // the slot of the one read-write attachment is taken
	watchers int       // read-only attachments
	alone    time.Time // since when nobody is attached
	doomed   bool      // killed by DELETE, soon to be forgotten
	reap     reapState
}

// newExecution makes an execution of a process that has just been started. It runs once begin is
// called.
func (r *Runner) newExecution(b *box, run *boxRun, req execRequest, proc *sandbox.Process) *execution {
	now := time.Now()
	e := &execution{
		id:      newUUID(),
		box:     b,
		run:     run,
		command: req.line(),
		tty:     req.TTY,
		started: now,
		alone:   now,
		proc:    proc,
		bugs:    r.cfg.bugs,
		log:     r.log,
		grace:   r.cfg.killGrace,
		done:    make(chan struct{}),
	}
	e.in = newStdin(proc.Stdin, req.TTY, e.done)
	if r.cfg.bugs.Has(bugs.StdinEOFOvertakes) {
		e.in.over = make(chan struct{}, 1)
	}
	e.out.consume = r.cfg.bugs.Has(bugs.AttachLoss)
	e.out.alias = r.cfg.bugs.Has(bugs.OutputBleed)
	if r.cfg.bugs.Has(bugs.StdoutRace) {
		e.late = r.events
	}
	return e
}

// begin starts to collect the output and waits for the end in the background.
func (e *execution) begin(limit time.Duration) {
	if e.bugs.Has(bugs.CodeMinusOne) {
		e.askToWait()
	}
	var pumps sync.WaitGroup
	pumps.Go(func() { e.pump(stdout, e.proc.Stdout) })
	if e.proc.Stderr != nil {
		pumps.Go(func() { e.pump(stderr, e.proc.Stderr) })
	}
	go e.await(&pumps)
	if limit > 0 {
		go e.enforce(limit)
	}
}

// pump collects one stream until the command has ended and all it wrote is there.
func (e *execution) pump(id streamID, f *os.File) {
	err := e.proc.Pump(f, func(p []byte) { e.deliver(id, p) })
	if err == nil && e.seeded.overdue.Load() {
		err = e.readOn(id, f)
	}
	if err != nil && !errors.Is(err, os.ErrClosed) {
		e.log.Error("cannot read output", zap.String("execution_id", e.id), zap.Error(err))
	}
}

// deliver hands p to the output. p belongs to the pump.
func (e *execution) deliver(id streamID, p []byte) {
	if e.bugs.Has(bugs.SlowReaderStall) {
		e.box.fanout.Lock()
		defer e.box.fanout.Unlock()
	}
	switch {
	case e.bugs.Has(bugs.StdoutRace):
		e.late.add(&e.out, id, p)
	case e.bugs.Has(bugs.OutputBleed):
		buf := scratch.Get().(*[]byte)
		n := copy(*buf, p)
		e.out.append(id, (*buf)[:n]) // keeps the slice, which the next user of the pool writes to
		scratch.Put(buf)
	case e.bugs.Has(bugs.UTF8Mangled):
		for chunk := range slices.Chunk(p, guestChunk) {
			e.out.append(id, bytes.ToValidUTF8(chunk, []byte("\uFFFD")))
		}
	default:
		e.out.append(id, p)
	}
}

// await publishes the end of the execution. The order is the promise of the attach protocol: the
// command is dead, so all it wrote is in the pipes; the pumps take what is there and stop, even if a
// background child still holds the other end; then the output is sealed; then the exit is seen.
func (e *execution) await(pumps *sync.WaitGroup) {
	<-e.proc.Exited()
	if e.bugs.Has(bugs.StopExecOrphan) && e.run.swept.Load() {
		return // the stop resolves what is in its table
	}
	if !e.bugs.Has(bugs.StdoutRace) {
		pumps.Wait()
	}
	code := e.proc.ExitCode()
	if e.bugs.Has(bugs.CodeMinusOne) {
		code = e.waited(code)
	}
	if e.bugs.Has(bugs.KillDrainHang) && e.seeded.evicted.Load() {
		<-e.run.sb.Gone() // the event finds no execution of its id; the end of the box resolves it at last
	}
	e.finish(code)
	e.proc.Close()
}

// finish seals the output and publishes the exit code. Only the first call counts.
func (e *execution) finish(code int) {
	e.once.Do(func() {
		e.out.seal()
		e.mu.Lock()
		e.code, e.ended = code, time.Now()
		e.mu.Unlock()
		e.log.Info("exec finished", zap.String("box_id", e.box.id), zap.String("execution_id", e.id), zap.Int("exit_code", code))
		close(e.done)
	})
}

func (e *execution) exitCode() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.code
}

func (e *execution) finished() bool {
	select {
	case <-e.done:
		return true
	default:
		return false
	}
}

// enforce ends the execution at its time limit: SIGTERM to its whole group, and SIGKILL for what is
// left of it later. The second comes even when the leader has gone, because its children may stay.
func (e *execution) enforce(limit time.Duration) {
	if !e.outlives(limit) {
		return
	}
	if e.bugs.Has(bugs.TimeoutLeaderOnly) {
		e.endLeader()
		return
	}
	e.signalGroup(syscall.SIGTERM)
	select {
	case <-time.After(e.grace):
	case <-e.run.sb.Gone():
		return
	}
	if err := e.proc.KillGroup(); err != nil {
		e.log.Error("cannot kill execution", zap.String("execution_id", e.id), zap.Error(err))
	}
}

// signalGroup sends sig to the command and the children in its process group, of which it is the
// leader. Only a process of the box can address the group, since its number is one of the box's own.
func (e *execution) signalGroup(sig syscall.Signal) {
	p, err := e.run.sb.Exec(context.Background(), sandbox.Spec{
		Argv: []string{"/bin/sh", "-c", `kill -"$1" -"$2"`, "sh", strconv.Itoa(int(sig)), strconv.Itoa(e.proc.PID)},
		Dir:  "/",
	})
	if err == nil {
		<-p.Exited()
		p.Close()
		if p.ExitCode() == 0 {
			return
		}
	}
	// The box has no room for one more process, or no group of that number: the leader at least.
	if err := e.proc.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		e.log.Error("cannot signal execution", zap.String("execution_id", e.id), zap.Error(err))
	}
}

// outlives waits for d and reports whether the command still runs then.
func (e *execution) outlives(d time.Duration) bool {
	if d <= 0 {
		select {
		case <-e.proc.Exited():
			return false
		default:
			return true
		}
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-e.proc.Exited():
		return false
	}
}

// The answers to work for an execution that cannot take it any more.
func (e *execution) errFinished() error { return invalidState("execution %s has finished", e.id) }
func (e *execution) errClosing() error  { return invalidState("execution %s is being closed", e.id) }

// usable reports why the execution cannot be signalled or resized, nil if it can.
func (e *execution) usable() error {
	if e.finished() {
		return e.errFinished()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.doomed || e.reap.begun() {
		return e.errClosing()
	}
	return nil
}

func (e *execution) signal(sig syscall.Signal) error {
	if err := e.usable(); err != nil {
		return err
	}
	if err := e.proc.Signal(sig); err != nil {
		return e.lost(err)
	}
	return nil
}

func (e *execution) resize(rows, cols uint16) error {
	if err := e.usable(); err != nil {
		return err
	}
	if !e.tty {
		return invalidArgument("execution %s has no terminal to resize", e.id)
	}
	if err := e.proc.Resize(rows, cols); err != nil {
		return e.lost(err)
	}
	return nil
}

// lost turns the failure of an operation on the process into a conflict when the process had just
// ended.
func (e *execution) lost(err error) error {
	if errors.Is(err, os.ErrProcessDone) || !e.outlives(0) {
		return e.errFinished()
	}
	return err
}

// killTimeout bounds the wait for the end of a killed execution.
const killTimeout = 10 * time.Second

// kill ends the execution with all its processes and waits for its end. From now on nobody can
// attach to it any more.
func (e *execution) kill() error {
	e.mu.Lock()
	e.doomed = true
	e.mu.Unlock()
	if e.finished() {
		return nil
	}
	if err := e.proc.KillGroup(); err != nil && e.outlives(0) {
		return err
	}
	if e.bugs.Has(bugs.KillDrainHang) {
		<-e.proc.Exited()
		return nil
	}
	t := time.NewTimer(killTimeout)
	defer t.Stop()
	select {
	case <-e.done:
		return nil
	case <-t.C:
		return errorf(http.StatusGatewayTimeout, "internal error: execution %s did not end within %s", e.id, killTimeout)
	}
}
