package model

import (
	"math/bits"
	"slices"
	"sort"
)

// Timeline is what a box could have been in at each moment, as far as its calls tell. It is
// computed like a just-in-time linearization (Lowe, "Testing for linearizability", 2017): every
// accepted call took effect at some moment between its invocation and its return, a rejected one
// never did, one without an answer may still do so.
type Timeline struct {
	during         map[int]State // by call id: states the box could be in while the call ran
	Contradictions []Contradiction
	end            State
	points         []point
}

// Contradiction is a call whose answer fits nothing the box could have been in.
type Contradiction struct {
	Call  *Call
	Could State // what it could have been in
}

// point is a moment at which the possible states became known to be States.
type point struct {
	at     int64
	states State
}

// Over returns the states the box could have been in at some moment from one time to another.
func (t *Timeline) Over(from, to int64) State {
	at := Absent
	var s State
	for _, p := range t.points {
		if p.at > to {
			break
		}
		if p.at <= from {
			at = p.states
			continue
		}
		s |= p.states
	}
	return s | at
}

// During returns the states the box could have been in when the call took effect. Calls that are
// not on the box get AnyState.
func (t *Timeline) During(c *Call) State {
	if s, ok := t.during[c.ID]; ok {
		return s
	}
	return AnyState
}

// End returns the states the box could be in after the last call.
func (t *Timeline) End() State { return t.end }

// maxInFlight bounds the search; with more calls at once than this nothing is concluded.
const maxInFlight = 12

// config is one possible situation: a single state in the low bits, and above them a bit for each
// call in flight that has taken effect.
type config uint32

const stateBits = 16

func (c config) state() State      { return State(c & (1<<stateBits - 1)) }
func (c config) rest() config      { return c &^ (1<<stateBits - 1) }
func taken(slot int) config        { return 1 << (stateBits + slot) }
func (c config) in(s State) config { return c.rest() | config(s) }

type timelineSearch struct {
	life    Lifecycle
	configs map[config]bool
	slots   [maxInFlight]*Call
	ends    map[*Call]int64 // until when each call may take effect
	out     *Timeline
	decided Decisions
	inexact bool
}

// edge is the beginning or the end of the time in which a call can take effect.
type edge struct {
	at    int64
	enter bool
	call  *Call
}

// NewTimeline computes the timeline of box ref under the lifecycle of its contract. Lists count as
// one look at the box each. decided says more about calls without an answer; it may be nil.
func NewTimeline(h *History, ref Ref, life Lifecycle, decided Decisions) *Timeline {
	return NewIndex(h).Timeline(ref, life, decided)
}

// Timeline is NewTimeline for a history whose calls have been sorted already.
func (x *Index) Timeline(ref Ref, life Lifecycle, decided Decisions) *Timeline {
	t := &timelineSearch{life: life, decided: decided, configs: map[config]bool{config(Absent): true}, out: &Timeline{during: map[int]State{}}}
	live := map[*Call]bool{}
	for _, e := range t.edges(x, ref) {
		if e.enter {
			live[e.call] = true
			t.enter(e.call)
		}
		t.closure(ref)
		t.look(live, e.at)
		if !e.enter {
			t.leave(e.call)
			delete(live, e.call)
			t.look(live, e.at)
		}
		t.out.points = append(t.out.points, point{e.at, t.union(0)})
	}
	t.out.end = t.union(0)
	if t.inexact {
		t.out.Contradictions = nil
		for id := range t.out.during {
			t.out.during[id] = AnyState
		}
		t.out.end, t.out.points = AnyState, []point{{0, AnyState}}
	}
	return t.out
}

// edges lists the calls on the box in order of time. At equal times invocations come first:
// intervals are closed, so such calls overlap.
func (t *timelineSearch) edges(x *Index, ref Ref) []edge {
	var out []edge
	for _, c := range x.About(ref) {
		out = append(out, edge{c.Invoke, true, c}, edge{t.life.Fence(x.limits, c), false, c})
	}
	t.ends = map[*Call]int64{}
	for _, e := range out {
		if !e.enter {
			t.ends[e.call] = e.at
		}
	}
	sort.SliceStable(out, func(i, j int) bool {
		if out[i].at != out[j].at {
			return out[i].at < out[j].at
		}
		return out[i].enter && !out[j].enter
	})
	return out
}

func (t *timelineSearch) enter(c *Call) {
	if took, known := t.decided[c.ID]; !t.life.Effective(c) || known && !took {
		return
	}
	for i := range t.slots {
		if t.slots[i] == nil {
			t.slots[i] = c
			return
		}
	}
	t.inexact = true
}

// closure adds every situation that can follow without any call returning.
func (t *timelineSearch) closure(ref Ref) {
	queue := make([]config, 0, len(t.configs))
	for c := range t.configs {
		queue = append(queue, c)
	}
	for len(queue) > 0 {
		c := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		add := func(from config, to State) {
			for _, s := range to.States() {
				if next := from.in(s); !t.configs[next] {
					t.configs[next] = true
					queue = append(queue, next)
				}
			}
		}
		add(c, t.life.Drift(c.state()))
		for i, call := range t.slots {
			if call != nil && (c&taken(i) == 0 || t.life.Restarts(call)) {
				add(c|taken(i), t.life.Next(call, ref, c.state()))
			}
		}
	}
}

// leave drops the situations that the answer of c rules out. A call without an answer can take no
// effect any more, and may have taken none.
func (t *timelineSearch) leave(c *Call) {
	slot := slices.Index(t.slots[:], c)
	if slot < 0 {
		return
	}
	t.slots[slot] = nil
	bit := taken(slot)
	kept := t.without(c, bit, t.life.Must(c) || t.decided[c.ID])
	if len(kept) == 0 && !t.life.Must(c) {
		kept = t.without(c, bit, false) // nothing answered, so nothing can be contradicted
	}
	if len(kept) == 0 {
		t.out.Contradictions = append(t.out.Contradictions, Contradiction{c, t.union(bit)})
		kept = t.after(c, bit)
	}
	t.configs = kept
}

// without returns the situations that fit the end of c, which bit stands for.
func (t *timelineSearch) without(c *Call, bit config, must bool) map[config]bool {
	kept := map[config]bool{}
	unfinished := t.life.Unfinished(c)
	for _, other := range t.slots {
		if other != nil && t.ends[other] > t.ends[c] {
			unfinished &^= t.life.Puts(other) // it may have begun the same anew before the answer arrived
		}
	}
	for cfg := range t.configs {
		if (cfg&bit != 0 || !must) && unfinished&cfg.state() == 0 {
			kept[cfg&^bit] = true
		}
	}
	return kept
}

// after is what to go on with when no situation fits the answer: what an accepted change says, or,
// for a look, what was thought before.
func (t *timelineSearch) after(c *Call, bit config) map[config]bool {
	result := t.life.Result(c)
	kept := map[config]bool{}
	for cfg := range t.configs {
		cfg &^= bit
		if result != 0 {
			cfg = cfg.in(result)
		}
		kept[cfg] = true
	}
	return kept
}

// look adds the states possible now to every live call. A call that changes the box saw it before
// its own effect. One that may take effect later has its answer, if any, from before it returned.
func (t *timelineSearch) look(live map[*Call]bool, now int64) {
	for c := range live {
		if c.Status != 0 && now > c.Return {
			continue
		}
		var own config
		if i := slices.Index(t.slots[:], c); i >= 0 && c.Op != OpGet && c.Op != OpList {
			own = taken(i)
		}
		t.out.during[c.ID] |= t.union(own) | t.union(0)&t.life.Meets(c)
	}
}

// union returns the states of all situations in which the call with bit without has not taken effect.
func (t *timelineSearch) union(without config) State {
	var s State
	for c := range t.configs {
		if c&without == 0 {
			s |= c.state()
		}
	}
	return s
}

// States returns the single states of the set, in order.
func (s State) States() []State {
	var out []State
	for s != 0 {
		low := State(1) << bits.TrailingZeros16(uint16(s))
		out = append(out, low)
		s &^= low
	}
	return out
}
