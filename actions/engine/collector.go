package engine

import (
	"context"
	"slices"
	"sync"
	"time"

	"chaos/model"
	"chaos/stack"
)

// collector reads the runner's journal for all runs of an engine: each entry once, each time from
// a fresh, complete scan behind what was read before.
type collector struct {
	src stack.JournalSource

	mu     sync.Mutex
	cursor string
	lines  int
	byBox  map[string][]stack.LogEntry
	lost   time.Time // when lines were last dropped
}

func newCollector(src stack.JournalSource) *collector {
	return &collector{src: src, byBox: map[string][]stack.LogEntry{}}
}

// collect reads everything the runner has logged until now.
func (c *collector) collect(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	entries, next, err := c.src.Since(ctx, c.cursor)
	if err != nil {
		return err
	}
	c.cursor = next
	c.lines += len(entries)
	for _, e := range entries {
		if e.Lost && e.Time.After(c.lost) {
			c.lost = e.Time
		}
		if s, _, ok := model.Sight(e.Message); ok {
			c.byBox[s.BoxID] = append(c.byBox[s.BoxID], e)
		}
	}
	return nil
}

// slice returns what was logged about the boxes with the given ids. Lines that were dropped before
// the run began were none of its own.
func (c *collector) slice(ids map[string]bool, began time.Time) model.Journal {
	c.mu.Lock()
	defer c.mu.Unlock()
	j := model.Journal{Kind: c.src.Describe(), Lines: c.lines}
	if !c.lost.Before(began) {
		j.Problem = model.JournalLost
	}
	for id := range ids {
		for _, e := range c.byBox[id] {
			j.Entries = append(j.Entries, model.JournalEntry{At: int64(e.Time.Sub(began)), Unit: e.Unit, Message: e.Message})
		}
	}
	j.Sort()
	return j
}

// boxesOf adds the boxes in which the runner started any of the executions.
func (c *collector) boxesOf(execs, ids map[string]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, entries := range c.byBox {
		for _, e := range entries {
			if s, _, _ := model.Sight(e.Message); s.ExecID != "" && execs[s.ExecID] {
				ids[id] = true
				break
			}
		}
	}
}

// unclaimed returns the ids of boxes the runner made since then that owned does not know.
func (c *collector) unclaimed(since time.Time, owned func(string) bool) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for id, entries := range c.byBox {
		if owned(id) {
			continue
		}
		for _, e := range entries {
			if s, _, _ := model.Sight(e.Message); s.What == model.SawCreate && e.Time.After(since) {
				out = append(out, id)
				break
			}
		}
	}
	slices.Sort(out)
	return out
}

// forget drops what is no longer needed, so that a long campaign holds its memory flat.
func (c *collector) forget(ids map[string]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range ids {
		delete(c.byBox, id)
	}
}
