package runner

import (
	"context"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// reapState is how far the reaper has gone with an execution: the last signal it sent, and when.
// The zero value is an execution it has left alone.
type reapState struct {
	sent syscall.Signal
	at   time.Time
}

func (s reapState) begun() bool { return s.sent != 0 }

// What reapStep answers besides a signal.
const (
	leave  syscall.Signal = 0
	forget syscall.Signal = -1
)

// reapLoop ends executions nobody cares for and forgets those that ended long ago.
func (r *Runner) reapLoop(ctx context.Context) {
	tick := time.NewTicker(r.cfg.reapTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			r.reapAll(now)
		}
	}
}

func (r *Runner) reapAll(now time.Time) {
	r.mu.RLock()
	execs := make([]*execution, 0, len(r.execs))
	for _, e := range r.execs {
		execs = append(execs, e)
	}
	r.mu.RUnlock()
	for _, e := range execs {
		sig := e.reapStep(now, r.cfg)
		switch sig {
		case leave:
			continue
		case forget:
			r.evict(e)
			continue
		}
		r.log.Info("reaping exec", zap.String("execution_id", e.id), zap.Int("signal", int(sig)))
		go r.reap(e, sig)
	}
}

func (r *Runner) reap(e *execution, sig syscall.Signal) {
	if sig != syscall.SIGKILL {
		e.signalGroup(sig)
		return
	}
	if err := e.kill(); err != nil {
		r.log.Error("cannot reap exec", zap.String("execution_id", e.id), zap.Error(err))
	}
	r.evict(e)
}

// reapStep decides what to do with the execution now: to leave it, to forget it, or the signal to
// send. Once it has begun it goes on to the end, and nobody can attach any more.
func (e *execution) reapStep(now time.Time, cfg settled) syscall.Signal {
	ended := e.finished()
	e.mu.Lock()
	defer e.mu.Unlock()
	attached := e.writer || e.watchers > 0
	send := func(sig syscall.Signal) syscall.Signal {
		e.reap = reapState{sent: sig, at: now}
		return sig
	}
	switch {
	case ended:
		if !attached && now.Sub(e.ended) >= cfg.keepFinished {
			return forget
		}
	case e.doomed || e.reap.sent == syscall.SIGKILL:
	case !e.reap.begun():
		if !attached && now.Sub(e.alone) >= cfg.reconnectGrace || now.Sub(e.started) >= cfg.maxLifetime {
			return send(syscall.SIGHUP)
		}
	case now.Sub(e.reap.at) < cfg.shutdownGrace:
	case e.reap.sent == syscall.SIGHUP:
		return send(syscall.SIGTERM)
	default:
		return send(syscall.SIGKILL)
	}
	return leave
}
