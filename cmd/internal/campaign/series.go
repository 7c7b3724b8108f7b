package campaign

import (
	"math"
	"slices"
	"time"

	"chaos/model"
)

// mostSlots bounds a series: when a run outgrows it, each two slots become one.
const mostSlots = 120

// Series is how fast a stack answered in the course of a run. The zero value is ready.
type Series struct {
	Began  time.Time     `json:"began"`  // of the first plan
	Width  time.Duration `json:"width"`  // of a slot
	Slots  []Slot        `json:"slots"`  // from Began on
	Faults []Span        `json:"faults"` // what was broken on purpose
}

// Slot is what was answered in one stretch of time.
type Slot struct {
	Calls int `json:"calls"` // answered, sessions not counted
	// Took counts those by how long they took; TookLimit says how long each place stands for.
	Took []int `json:"took,omitempty"`
}

// Span is a stretch of time with a name.
type Span struct {
	Name string        `json:"name"`
	From time.Duration `json:"from"` // since the series began
	To   time.Duration `json:"to"`
}

// mostSpans bounds the faults that are kept; a chart with more shows nothing.
const mostSpans = 500

// TookLimit is the longest time that place i of Slot.Took stands for: each is a fifth longer than the one before.
func TookLimit(i int) time.Duration {
	return time.Duration(float64(50*time.Microsecond) * math.Pow(1.2, float64(i)))
}

func tookPlace(d time.Duration) int {
	return max(0, int(math.Ceil(math.Log(float64(d)/float64(50*time.Microsecond))/math.Log(1.2))))
}

// Quantile returns how long the share q of the calls took at most, exact to a fifth; 0 = no calls.
func (s *Slot) Quantile(q float64) time.Duration {
	seen := 0
	for i, n := range s.Took {
		if seen += n; n > 0 && float64(seen) >= q*float64(s.Calls) {
			return TookLimit(i)
		}
	}
	return 0
}

func (s *Slot) add(took time.Duration) {
	i := tookPlace(max(took, time.Microsecond))
	for len(s.Took) <= i {
		s.Took = append(s.Took, 0)
	}
	s.Took[i]++
	s.Calls++
}

// add takes in h. Plans end in another order than they begin: what began before the first that ended
// counts for the beginning.
func (s *Series) add(h *model.History) {
	if s.Width == 0 {
		s.Began, s.Width = h.Meta.Began, time.Second
	}
	since := h.Meta.Began.Sub(s.Began)
	for i := range h.Calls {
		c := &h.Calls[i]
		if c.Op == model.OpAttach || c.Outcome == model.Unknown || c.Step < 0 {
			continue
		}
		s.slot(since + time.Duration(c.Return)).add(time.Duration(c.Return - c.Invoke))
	}
	for _, f := range h.Meta.Faults {
		if len(s.Faults) < mostSpans {
			s.Faults = append(s.Faults, Span{f.Name, since + time.Duration(f.From), since + time.Duration(f.To)})
		}
	}
}

// slot returns the slot of a moment, making the series as long as that takes.
func (s *Series) slot(at time.Duration) *Slot {
	at = max(0, at)
	for at >= mostSlots*s.Width {
		s.halve()
	}
	i := int(at / s.Width)
	for len(s.Slots) <= i {
		s.Slots = append(s.Slots, Slot{})
	}
	return &s.Slots[i]
}

func (s *Series) halve() {
	s.Width *= 2
	var out []Slot
	for pair := range slices.Chunk(s.Slots, 2) {
		sum := Slot{}
		for _, p := range pair {
			sum.Calls += p.Calls
			for i, n := range p.Took {
				for len(sum.Took) <= i {
					sum.Took = append(sum.Took, 0)
				}
				sum.Took[i] += n
			}
		}
		out = append(out, sum)
	}
	s.Slots = out
}

func (s *Series) clone() Series {
	out := *s
	out.Faults = slices.Clone(s.Faults)
	out.Slots = slices.Clone(s.Slots)
	for i := range out.Slots {
		out.Slots[i].Took = slices.Clone(out.Slots[i].Took)
	}
	return out
}
