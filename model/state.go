package model

import (
	"slices"
	"strings"
)

// State is a set of states a box may be in, as its caller can tell them apart. A single state is a
// set of one. Sets are bit masks so that "what could it have been?" is cheap to compute and compare.
type State uint16

// The states of a box. Creating, Starting, Stopping and Removing are changes that are under way.
const (
	Absent   State = 1 << iota // never created, or its create was refused
	Creating                   // create sent, not answered
	Fresh                      // configured: made, but never started
	Running
	Stopping // stop accepted
	Stopped
	Starting // start sent, not answered
	Removing // delete sent, not answered
	Gone     // delete accepted: must look like a box that never existed
)

// AnyState is every state.
const AnyState = Absent | Creating | Fresh | Running | Stopping | Stopped | Starting | Removing | Gone

var stateNames = []string{"absent", "creating", "configured", "running", "stopping", "stopped", "starting", "removing", "removed"}

// String lists the states of the set, joined by "|".
func (s State) String() string {
	var names []string
	for i, n := range stateNames {
		if s&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, "|")
}

// ParseState reads what String wrote, and the groups alive, busy, none and any.
func ParseState(text string) (State, bool) {
	groups := map[string]State{"alive": Alive, "busy": Creating | Starting | Removing, "none": Absent | Gone, "any": AnyState}
	var s State
	for name := range strings.SplitSeq(text, "|") {
		if g, ok := groups[name]; ok {
			s |= g
			continue
		}
		i := slices.Index(stateNames, name)
		if i < 0 {
			return 0, false
		}
		s |= 1 << i
	}
	return s, true
}

// Alive is every state of a box that is there, or is about to be or to go.
const Alive = Creating | Fresh | Running | Stopping | Stopped | Starting | Removing

// Single reports whether the set holds exactly one state.
func (s State) Single() bool { return s != 0 && s&(s-1) == 0 }

// Shows returns the values of a box's status field that a caller may see in any state of the set.
// "" stands for a 404.
func (s State) Shows() []string {
	var out []string
	add := func(set State, shown ...string) {
		if s&set == 0 {
			return
		}
		for _, x := range shown {
			dup := false
			for _, y := range out {
				dup = dup || x == y
			}
			if !dup {
				out = append(out, x)
			}
		}
	}
	add(Absent|Gone, "")
	add(Creating, "", "configured")
	add(Fresh, "configured")
	add(Running, "running")
	add(Stopping, "running", "stopping")
	add(Stopped, "stopped")
	add(Starting, "stopped", "configured")
	add(Removing, "", "stopping")
	return out
}
