package campaign

import (
	"sync"
	"time"

	"chaos/model"
)

// Stats counts what a campaign did. It is safe for concurrent use; read it through Snapshot.
type Stats struct {
	mu    sync.Mutex
	c     Counts
	cover Coverage
	speed Series
}

// Counts is what a campaign did so far.
type Counts struct {
	Plans        int            `json:"plans"`
	Steps        int            `json:"steps"`
	Calls        int            `json:"calls"`
	Execs        int            `json:"execs"`
	OutputBytes  int64          `json:"output_bytes"`
	Overlapping  int            `json:"overlapping_calls"` // calls on a box while another call on it was in flight
	BoxCalls     int            `json:"box_calls"`
	Unknown      int            `json:"unknown_outcomes"`
	Unawaited    int            `json:"unawaited_calls"` // of those: the plan told the client not to wait
	Violated     int            `json:"violated_plans"`
	Inconclusive int            `json:"inconclusive_plans"`
	Lossy        int            `json:"lossy_journals"`     // plans during which the journal dropped lines
	Unjudged     map[string]int `json:"unjudged,omitempty"` // why plans were inconclusive
	Ops          map[string]int `json:"operations"`
	LongestStall time.Duration  `json:"longest_stall"`
	Covered      Covered        `json:"covered"`
	Signs        Signs          `json:"signs"` // what its silence rests on
}

// Overlap is the share of calls on boxes that overlapped another call on the same box.
func (c Counts) Overlap() float64 {
	if c.BoxCalls == 0 {
		return 0
	}
	return float64(c.Overlapping) / float64(c.BoxCalls)
}

// Add counts one judged history.
func (s *Stats) Add(h *model.History, v model.Verdict) {
	overlapping, boxCalls := overlap(h)
	signs := look(h, v, overlapping > 0)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cover.add(h)
	s.speed.add(h)
	c := &s.c
	if c.Ops == nil {
		c.Ops, c.Unjudged = map[string]int{}, map[string]int{}
	}
	c.Plans++
	c.Steps += len(h.Plan.Steps)
	c.Calls += len(h.Calls)
	c.Overlapping += overlapping
	c.BoxCalls += boxCalls
	c.Signs.add(signs)
	c.LongestStall = max(c.LongestStall, h.Meta.Stalled)
	for i := range h.Calls {
		x := &h.Calls[i]
		c.Ops[x.Op]++
		if x.Outcome == model.Unknown {
			c.Unknown++
			if x.GaveUp {
				c.Unawaited++
			}
		}
		if x.Op == model.OpExec && x.Outcome == model.OK {
			c.Execs++
		}
		if x.Attach != nil {
			for _, f := range x.Attach.Frames {
				c.OutputBytes += int64(len(f.Data))
			}
		}
	}
	if h.Journal.Problem == model.JournalLost {
		c.Lossy++
	}
	switch v.Status {
	case model.Violated:
		c.Violated++
	case model.Inconclusive:
		c.Inconclusive++
		for _, why := range v.Unjudged {
			c.Unjudged[why]++
		}
	}
}

// overlap counts the calls on boxes, and those that ran while another client's call on the box did.
func overlap(h *model.History) (overlapping, boxCalls int) {
	met := map[*model.Call]bool{}
	overlaps(h, func(c, d *model.Call) { met[c], met[d] = true, true })
	for i := range h.Calls {
		if c := &h.Calls[i]; c.Box != "" && c.Step >= 0 {
			boxCalls++
		}
	}
	return len(met), boxCalls
}

// Snapshot returns a copy of the counts.
func (s *Stats) Snapshot() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.c
	c.Covered = s.cover.covered()
	c.Ops, c.Unjudged = map[string]int{}, map[string]int{}
	for k, v := range s.c.Ops {
		c.Ops[k] = v
	}
	for k, v := range s.c.Unjudged {
		c.Unjudged[k] = v
	}
	return c
}

// Coverage returns a copy of what has been seen.
func (s *Stats) Coverage() Coverage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cover.clone()
}

// Series returns a copy of how fast the stack answered.
func (s *Stats) Series() Series {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.speed.clone()
}
