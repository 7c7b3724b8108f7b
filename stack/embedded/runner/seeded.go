package runner

import (
	"bytes"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"chaos/stack/embedded/bugs"
	"chaos/stack/embedded/sandbox"
)

// This file holds the parts that only seeded bugs need. The clean stack never touches them.

// admit lets an execution begin to start. With autostart-stale-status and reconciler-stops-again it
// starts a stopped box for that, as BoxLite's core does, and tells nobody.
func (r *Runner) admit(b *box) (*boxRun, error) {
	run, err := b.admit()
	var stopped *errStopped
	if !errors.As(err, &stopped) || !r.cfg.bugs.Has(bugs.AutostartStaleStatus) && !r.cfg.bugs.Has(bugs.ReconcilerStopsAgain) {
		return run, err
	}
	if err := r.startBox(b); err != nil {
		return nil, err
	}
	return b.admit()
}

// doubled reports whether replay-doubles-create lets another box take the place of b. What runs in b is
// forgotten.
func (r *Runner) doubled(b *box) bool {
	if !r.cfg.bugs.Has(bugs.ReplayDoublesCreate) {
		return false
	}
	if run := b.current(); run != nil {
		r.forget(run)
	}
	return true
}

// scratch is the pool of output-bleed: buffers that are handed on and given back at once.
var scratch = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// guestChunk is the size of the chunks in which BoxLite's guest sends output; utf8-mangled decodes each.
const guestChunk = 1 << 10

// eventQueue is the hop of stdout-race: output travels as events that a loop delivers in batches,
// as between BoxLite's native library and its Go bindings, while the exit takes the short way.
type eventQueue struct {
	mu     sync.Mutex
	events []func()
}

// eventTick is how often the loop looks at its queue.
const eventTick = 10 * time.Millisecond

func (q *eventQueue) add(to *output, id streamID, p []byte) {
	p = bytes.Clone(p)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.events = append(q.events, func() { to.append(id, p) })
}

// loop delivers until stop is closed.
func (q *eventQueue) loop(stop <-chan struct{}) {
	tick := time.NewTicker(eventTick)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		q.mu.Lock()
		events := q.events
		q.events = nil
		q.mu.Unlock()
		for _, deliver := range events {
			deliver()
		}
	}
}

// abortListener makes the connections of attach-rst.
type abortListener struct{ net.Listener }

func (l abortListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &abortConn{TCPConn: c.(*net.TCPConn)}, nil
}

// abortConn is a connection that can be told to reset itself right after its next write.
type abortConn struct {
	*net.TCPConn
	armed atomic.Bool
}

func (c *abortConn) Write(p []byte) (int, error) {
	n, err := c.TCPConn.Write(p)
	if c.armed.Load() {
		_ = c.SetLinger(0)
		_ = c.Close()
	}
	return n, err
}

// mergedEnv is the environment of env-bleed: what the execution asks for goes into the map of the box
// instead of a copy of it.
func (b *box) mergedEnv(q execRequest) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.vars == nil {
		b.vars = map[string]string{}
	}
	return q.execEnv(b.vars)
}

// spare is the stop of stop-spares-children: the leaders of the executions end, the sandbox and what
// else runs in it stay for the next start.
func (b *box) spare() {
	run := b.current()
	if run == nil {
		return
	}
	b.refuse(run)
	run.starts.Wait()
	for _, e := range b.execsOf(run) {
		_ = e.proc.Signal(syscall.SIGKILL) // gone already is as well
	}
	b.retire(run)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spared = run.sb
}

// takeSpared returns the sandbox that the last stop has spared, nil if there is none.
func (b *box) takeSpared() *sandbox.Box {
	b.mu.Lock()
	defer b.mu.Unlock()
	sb := b.spared
	b.spared = nil
	return sb
}
