package campaign

import (
	"slices"
	"sync"
	"time"

	"chaos/model"
)

// Pace is how fast a campaign went over its time, in slices of equal length. It is safe for
// concurrent use; its size is bounded whatever the length of the campaign.
type Pace struct {
	mu     sync.Mutex
	began  time.Time
	width  time.Duration
	slices []paceSlice
}

type paceSlice struct {
	calls   int
	lasted  []time.Duration // a sample of them
	faults  int
	plans   int
	skipped int // calls since the last one in the sample
}

// Bounds of a Pace.
const (
	mostSlices = 120
	mostSample = 200 // in a slice
)

// PacePoint is one slice, for pages and programs.
type PacePoint struct {
	At     float64 `json:"at"`      // seconds since the beginning
	Calls  float64 `json:"calls_s"` // calls a second
	P50    float64 `json:"p50_ms"`
	P95    float64 `json:"p95_ms"`
	Plans  int     `json:"plans"`
	Faults int     `json:"faults,omitempty"`
}

// Add counts one history, which ended just now.
func (p *Pace) Add(h *model.History) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.width == 0 {
		p.began, p.width = h.Meta.Began, time.Second
	}
	at := int(time.Since(p.began) / p.width)
	for at >= mostSlices {
		p.halve()
		at = int(time.Since(p.began) / p.width)
	}
	for len(p.slices) <= at {
		p.slices = append(p.slices, paceSlice{})
	}
	s := &p.slices[at]
	s.plans++
	s.faults += len(h.Meta.Faults)
	for i := range h.Calls {
		c := &h.Calls[i]
		s.calls++
		if c.Op == model.OpAttach || c.Outcome == model.Unknown {
			continue // a session takes as long as its command
		}
		if s.skipped++; len(s.lasted) < mostSample || s.skipped > s.calls/mostSample {
			if s.skipped = 0; len(s.lasted) == mostSample {
				s.lasted = s.lasted[1:]
			}
			s.lasted = append(s.lasted, time.Duration(c.Return-c.Invoke))
		}
	}
}

// halve joins neighbours, so that slices are twice as long.
func (p *Pace) halve() {
	var out []paceSlice
	for i := 0; i < len(p.slices); i += 2 {
		s := p.slices[i]
		if i+1 < len(p.slices) {
			t := p.slices[i+1]
			s.calls, s.plans, s.faults = s.calls+t.calls, s.plans+t.plans, s.faults+t.faults
			s.lasted = append(s.lasted, t.lasted...)
			s.lasted = s.lasted[max(0, len(s.lasted)-mostSample):]
		}
		out = append(out, s)
	}
	p.slices, p.width = out, 2*p.width
}

// Points returns what there is so far.
func (p *Pace) Points() []PacePoint {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := []PacePoint{}
	for i, s := range p.slices {
		lasted := slices.Clone(s.lasted)
		slices.Sort(lasted)
		at := func(q float64) float64 {
			if len(lasted) == 0 {
				return 0
			}
			return float64(lasted[min(len(lasted)-1, int(q*float64(len(lasted))))].Microseconds()) / 1000
		}
		out = append(out, PacePoint{At: (time.Duration(i) * p.width).Seconds(), Calls: float64(s.calls) / p.width.Seconds(), P50: at(0.5), P95: at(0.95), Plans: s.plans, Faults: s.faults})
	}
	return out
}
