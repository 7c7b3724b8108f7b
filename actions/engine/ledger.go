package engine

import (
	"context"
	"sync"
	"time"
)

// ledger knows which box ids the campaign has been given, and which creates may still be given one.
type ledger struct {
	mu    sync.Mutex
	owned map[string]bool
	told  map[string]bool // foreign ids that a history already holds
	open  map[int]chan struct{}
	next  int
	lost  int // creates that were never answered: each accounts for one id that nobody was given
}

func newLedger() *ledger {
	return &ledger{owned: map[string]bool{}, told: map[string]bool{}, open: map[int]chan struct{}{}}
}

// Begin tells that a create is being sent; call done with the id it gave, "" if none, and whether it
// was answered at all.
func (l *ledger) Begin() (done func(id string, answered bool)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.next
	l.next++
	ch := make(chan struct{})
	l.open[n] = ch
	return func(id string, answered bool) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if id != "" {
			l.owned[id] = true
		}
		if !answered {
			l.lost++
		}
		delete(l.open, n)
		close(ch)
	}
}

// unaccounted returns those of ids that no create accounts for, each once in the life of the
// ledger. It first waits for the creates in flight now, because one of them may be given such an id.
func (l *ledger) unaccounted(ctx context.Context, ids []string) []string {
	l.mu.Lock()
	var open []chan struct{}
	for _, ch := range l.open {
		open = append(open, ch)
	}
	l.mu.Unlock()
	for _, ch := range open {
		select {
		case <-ch:
		case <-ctx.Done():
			return nil
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for _, id := range ids {
		if l.owned[id] || l.told[id] || l.excuse(id) {
			continue
		}
		l.told[id] = true
		out = append(out, id)
	}
	return out
}

// adopt takes id, which was found under a name of ours, for the box of a create without an answer,
// if there is one that has none yet.
func (l *ledger) adopt(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.owned[id] && !l.told[id] {
		l.excuse(id)
	}
}

// excuse reports whether a create without an answer can account for id, and lets it do so.
func (l *ledger) excuse(id string) bool {
	if l.lost == 0 {
		return false
	}
	l.lost--
	l.owned[id] = true
	return true
}

// foreign returns the boxes that the runner made since then and that no create accounts for.
func (e *Engine) foreign(ctx context.Context, since time.Time) []string {
	return e.ledger.unaccounted(ctx, e.journal.unclaimed(since, e.ledger.owns))
}

func (l *ledger) owns(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.owned[id]
}
