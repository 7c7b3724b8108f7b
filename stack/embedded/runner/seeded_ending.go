package runner

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// This file holds the parts that only seeded bugs about the end of executions need.

// seededEnding is what those bugs keep with an execution. It is zero in the clean stack.
type seededEnding struct {
	overdue atomic.Bool // timeout-leader-only: the time limit has ended the leader
	refused bool        // code-minus-one: the wait has failed
	noted   atomic.Bool // info-stale: the status table knows of the end
	evicted atomic.Bool // no-exit-after-kill, kill-drain-hang: DELETE has taken it out of the table
}

// endLeader is the end of the time limit in timeout-leader-only: it is for the leader alone.
func (e *execution) endLeader() {
	e.seeded.overdue.Store(true)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if e.proc.Signal(sig) != nil || !e.outlives(e.grace) {
			return
		}
	}
}

// readOn reads f to its end, which comes when the last process that holds it has gone.
func (e *execution) readOn(id streamID, f *os.File) error {
	if err := f.SetReadDeadline(time.Time{}); err != nil || e.tty {
		return err
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := f.Read(buf)
		e.deliver(id, buf[:n])
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// maxWaits is how many waits the channel of a box carries at a time in code-minus-one.
const maxWaits = 2

// askToWait asks for the exit code of the execution. One too many is refused.
func (e *execution) askToWait() { e.seeded.refused = e.run.waits.Add(1) > maxWaits }

// waited is the answer: what the command ended with, or what a refusal was turned into.
func (e *execution) waited(code int) int {
	e.run.waits.Add(-1)
	if e.seeded.refused {
		return -1
	}
	return code
}

// noteTick is how often the status table of info-stale is brought up to date.
const noteTick = 50 * time.Millisecond

// noteEnds brings it up to date until stop is closed.
func (r *Runner) noteEnds(stop <-chan struct{}) {
	tick := time.NewTicker(noteTick)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		r.mu.RLock()
		for _, e := range r.execs {
			if e.finished() {
				e.seeded.noted.Store(true)
			}
		}
		r.mu.RUnlock()
	}
}

// errEvicted ends a session of no-exit-after-kill.
var errEvicted = errors.New("execution not found")
