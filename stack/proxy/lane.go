package proxy

import (
	"context"
	"sync"
	"time"
)

// lane lets the messages about one box through one at a time, by rank. Only messages about the same
// box can race, so each box has a lane of its own.
type lane struct {
	settle time.Duration // with nothing new for this long, all are there that will come

	mu      sync.Mutex
	waiting []*waiter
	news    time.Time // when the last one came or was let through
	passed  time.Time // when the last one was let through
	serving bool
}

type waiter struct {
	rank int
	open chan struct{}
}

// mostSettle bounds how many times settle the first in line waits for others to come.
const mostSettle = 6

func newLane(settle time.Duration) *lane { return &lane{settle: settle} }

// wait returns when it is the turn of a message with this rank, or when ctx or done ends. It reports
// whether the message had to wait for another one.
func (l *lane) wait(ctx, done context.Context, rank int) bool {
	w := &waiter{rank: rank, open: make(chan struct{})}
	l.mu.Lock()
	l.waiting = append(l.waiting, w)
	l.news = time.Now()
	shared := len(l.waiting) > 1
	if !l.serving {
		l.serving, l.passed = true, l.news
		go l.serve()
	}
	l.mu.Unlock()
	select {
	case <-w.open:
	case <-ctx.Done():
	case <-done.Done():
	}
	l.leave(w)
	return shared
}

func (l *lane) leave(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, x := range l.waiting {
		if x == w {
			l.waiting = append(l.waiting[:i:i], l.waiting[i+1:]...)
			return
		}
	}
}

// serve lets the waiting through, each when nothing has come for a while, until there are none.
func (l *lane) serve() {
	for {
		l.mu.Lock()
		if len(l.waiting) == 0 {
			l.serving = false
			l.mu.Unlock()
			return
		}
		now := time.Now()
		quiet, over := l.news.Add(l.settle), l.passed.Add(mostSettle*l.settle)
		if pause := min(quiet.Sub(now), over.Sub(now)); pause > 0 {
			l.mu.Unlock()
			time.Sleep(pause)
			continue
		}
		best := 0
		for i, w := range l.waiting {
			if w.rank < l.waiting[best].rank {
				best = i
			}
		}
		close(l.waiting[best].open)
		l.waiting = append(l.waiting[:best:best], l.waiting[best+1:]...)
		l.news, l.passed = now, now
		l.mu.Unlock()
	}
}
