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

// config is one possible situation: a single state in the low byte, and above it a bit for each
// call in flight that has taken effect.
type config uint32

func (c config) state() State { return State(c & 0xff) }

type timelineSearch struct {
	configs map[config]bool
	slots   [maxInFlight]*Call
	out     *Timeline
	inexact bool
}

// NewTimeline computes the timeline of box ref. Lists count as one look at the box each.
func NewTimeline(h *History, ref Ref) *Timeline {
	t := &timelineSearch{configs: map[config]bool{config(Absent): true}, out: &Timeline{during: map[int]State{}}}
	type edge struct {
		at    int64
		enter bool
		call  *Call
	}
	var edges []edge
	for i := range h.Calls {
		c := &h.Calls[i]
		if c.Box != ref && c.Op != OpList {
			continue
		}
		edges = append(edges, edge{c.Invoke, true, c})
		if c.Outcome != Unknown {
			edges = append(edges, edge{c.Return, false, c})
		}
	}
	// At equal times invocations come first: intervals are closed, so such calls overlap.
	sort.SliceStable(edges, func(i, j int) bool {
		if edges[i].at != edges[j].at {
			return edges[i].at < edges[j].at
		}
		return edges[i].enter && !edges[j].enter
	})
	live := map[*Call]bool{}
	for _, e := range edges {
		if e.enter {
			live[e.call] = true
			t.enter(e.call, ref)
		}
		t.closure(ref)
		t.look(live)
		if !e.enter {
			t.leave(e.call, ref)
			delete(live, e.call)
			t.look(live)
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

// effective reports whether the answer of c says something about the state of the box.
func effective(c *Call) bool {
	switch c.Op {
	case OpCreate, OpStart, OpStop, OpRemove:
		return c.Outcome != Rejected && !(c.Op == OpCreate && c.Variant != "" && c.Outcome == Unknown)
	case OpGet:
		return c.Outcome == OK && len(c.Boxes) == 1 || c.Status == 404
	case OpList:
		return c.Outcome == OK
	}
	return false
}

func (t *timelineSearch) enter(c *Call, _ Ref) {
	if !effective(c) {
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
		add := func(next config) {
			if !t.configs[next] {
				t.configs[next] = true
				queue = append(queue, next)
			}
		}
		base := c &^ 0xff
		switch c.state() {
		case Stopping:
			add(base | config(Stopped))
		case Creating, Starting:
			add(base | config(Running))
		case Removing:
			add(base | config(Gone))
		}
		for i, call := range t.slots {
			bit := config(1) << (8 + i)
			if call == nil || c&bit != 0 {
				continue
			}
			for _, next := range takesEffect(call, ref, c.state()) {
				add(base | bit | config(next))
			}
		}
	}
}

// takesEffect returns the states after call takes effect in state s; none if it cannot.
func takesEffect(call *Call, ref Ref, s State) []State {
	const alive = Creating | Running | Stopping | Stopped | Starting
	switch call.Op {
	case OpCreate:
		if s == Absent {
			return []State{Creating}
		}
	case OpStart:
		if s == Stopped {
			return []State{Starting}
		}
		if s&(Running|Starting) != 0 {
			return []State{s}
		}
	case OpStop:
		if s&(Running|Stopping) != 0 {
			return []State{Stopping}
		}
	case OpRemove:
		if s&alive != 0 {
			return []State{Removing}
		}
	case OpGet, OpList:
		if slices.Contains(s.Shows(), shown(call, ref)) {
			return []State{s}
		}
	}
	return nil
}

// shown returns the status that a get or list shows of box ref, "" when it is not there.
func shown(c *Call, ref Ref) string {
	for _, b := range c.Boxes {
		if c.Op == OpGet || b.Ref == ref {
			return b.Status
		}
	}
	return ""
}

// leave drops the situations that the answer of c rules out.
func (t *timelineSearch) leave(c *Call, ref Ref) {
	slot := slices.Index(t.slots[:], c)
	if slot < 0 {
		return
	}
	t.slots[slot] = nil
	bit := config(1) << (8 + slot)
	kept := map[config]bool{}
	for cfg := range t.configs {
		unfinished := c.Op == OpCreate && cfg.state() == Creating || c.Op == OpStart && cfg.state() == Starting || c.Op == OpRemove && cfg.state() == Removing
		if cfg&bit != 0 && !unfinished {
			kept[cfg&^bit] = true
		}
	}
	if len(kept) == 0 {
		t.out.Contradictions = append(t.out.Contradictions, Contradiction{c, t.union(bit)})
		kept = t.after(c, bit)
	}
	t.configs = kept
}

// after is what to go on with when no situation fits the answer: what an accepted change says, or,
// for a look, what was thought before.
func (t *timelineSearch) after(c *Call, bit config) map[config]bool {
	result := map[string]State{OpCreate: Running, OpStart: Running, OpStop: Stopping, OpRemove: Gone}[c.Op]
	kept := map[config]bool{}
	for cfg := range t.configs {
		cfg &^= bit
		if result != 0 {
			cfg = cfg&^0xff | config(result)
		}
		kept[cfg] = true
	}
	return kept
}

// look adds the states possible now to every live call. A call that changes the box saw it before
// its own effect.
func (t *timelineSearch) look(live map[*Call]bool) {
	for c := range live {
		var own config
		if i := slices.Index(t.slots[:], c); i >= 0 && c.Op != OpGet && c.Op != OpList {
			own = 1 << (8 + i)
		}
		t.out.during[c.ID] |= t.union(own)
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
