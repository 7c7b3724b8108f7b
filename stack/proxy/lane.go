package proxy

import (
	"context"
	"slices"
	"sync"
	"time"
)

// lane is where the messages about one box meet. Only those can race, so each box has a lane of its
// own; creates, which are about boxes that are not there yet, share one.
type lane struct {
	settle time.Duration // with nothing new for this long, all are there that will come

	mu      sync.Mutex
	waiting []*waiter
	news    time.Time // when the last one came
	first   time.Time // when the first of those that wait came
	serving bool
	meeting []*waiter // they wait for a message of another step
}

type waiter struct {
	step, rank int
	open       chan struct{}
}

// Bounds of what a lane does to a message.
const (
	mostSettle = 6                      // times settle that the first in line waits for others to come
	spacing    = 500 * time.Microsecond // between two that are let through, so that they arrive in this order
	meetLimit  = 100 * time.Millisecond // how long a message waits for company
)

func newLane(settle time.Duration) *lane { return &lane{settle: settle} }

// wait returns when it is the turn of a message with this rank, or when ctx or done ends. It reports
// whether there were others to wait for.
func (l *lane) wait(ctx, done context.Context, step, rank int) bool {
	w := &waiter{step, rank, make(chan struct{})}
	l.mu.Lock()
	l.waiting = append(l.waiting, w)
	l.news = time.Now()
	if !l.serving {
		l.serving, l.first = true, l.news
		go l.serve()
	}
	l.mu.Unlock()
	select {
	case <-w.open:
	case <-ctx.Done():
	case <-done.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = without(l.waiting, w)
	return l.news.Sub(l.first) > 0
}

func without(list []*waiter, w *waiter) []*waiter {
	return slices.DeleteFunc(list, func(x *waiter) bool { return x == w })
}

// serve waits until nothing more comes and lets all that are there through by rank, one right after
// the other: they are to overlap, in an order that is known.
func (l *lane) serve() {
	l.mu.Lock()
	for {
		now := time.Now()
		pause := min(l.news.Add(l.settle).Sub(now), l.first.Add(mostSettle*l.settle).Sub(now))
		if pause <= 0 {
			break
		}
		l.mu.Unlock()
		time.Sleep(pause)
		l.mu.Lock()
	}
	ready := l.waiting
	l.waiting, l.serving = nil, false
	l.mu.Unlock()
	slices.SortStableFunc(ready, func(a, b *waiter) int { return a.rank - b.rank })
	for i, w := range ready {
		if i > 0 {
			time.Sleep(spacing)
		}
		close(w.open)
	}
}

// meet returns when a message of another step passes, or after meetLimit, or when ctx or done ends.
func (l *lane) meet(ctx, done context.Context, step int) {
	w := &waiter{step: step, open: make(chan struct{})}
	l.mu.Lock()
	l.meeting = append(l.meeting, w)
	l.mu.Unlock()
	t := time.NewTimer(meetLimit)
	defer t.Stop()
	select {
	case <-w.open:
	case <-t.C:
	case <-ctx.Done():
	case <-done.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.meeting = without(l.meeting, w)
}

// passes lets those go on that wait for the company of a message of step.
func (l *lane) passes(step int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.meeting = slices.DeleteFunc(l.meeting, func(w *waiter) bool {
		if w.step == step {
			return false
		}
		close(w.open)
		return true
	})
}
