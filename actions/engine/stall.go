package engine

import (
	"sync"
	"time"
)

// stallMeter notices when the machine stands still: it asks to be woken every tick and notes how
// late that was. A deadline that passed while nothing could run says nothing about the stack.
type stallMeter struct {
	quit   chan struct{}
	mu     sync.Mutex
	stalls []stall // newest last, at most keptStalls
}

type stall struct {
	at   time.Time
	late time.Duration
}

const (
	stallTick  = 20 * time.Millisecond
	stallWorth = 100 * time.Millisecond // shorter ones are everyday scheduling
	keptStalls = 1024
)

func newStallMeter() *stallMeter {
	m := &stallMeter{quit: make(chan struct{})}
	go m.watch()
	return m
}

func (m *stallMeter) watch() {
	t := time.NewTicker(stallTick)
	defer t.Stop()
	last := time.Now()
	for {
		select {
		case <-m.quit:
			return
		case <-t.C:
		}
		now := time.Now()
		if late := now.Sub(last) - stallTick; late > stallWorth {
			m.mu.Lock()
			m.stalls = append(m.stalls, stall{now, late})
			if len(m.stalls) > keptStalls {
				m.stalls = m.stalls[len(m.stalls)-keptStalls:]
			}
			m.mu.Unlock()
		}
		last = now
	}
}

// since returns the longest stall that ended after t.
func (m *stallMeter) since(t time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	var longest time.Duration
	for i := len(m.stalls) - 1; i >= 0 && m.stalls[i].at.After(t); i-- {
		longest = max(longest, m.stalls[i].late)
	}
	return longest
}

func (m *stallMeter) stop() { close(m.quit) }
