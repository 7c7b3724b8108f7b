package model

import "slices"

// Lifecycle is how boxes change from state to state under one contract. Its methods are what both
// the timeline and the check of linearizability go by.
type Lifecycle struct {
	Lazy      bool // a created box is configured and boots later
	Autostart bool // an exec starts a stopped box
	SyncStop  bool // a stop is answered when the box has stopped
	rules     []Rule
}

// Undecided reports whether nobody knows from the answer whether the call took effect: there was
// none, or it says that something broke or took too long on the way.
func (c *Call) Undecided() bool {
	return c.Outcome == Unknown || c.Status >= 500 || c.Status == 408
}

// Changes reports whether the call may change what its box is.
func (l Lifecycle) Changes(c *Call) bool {
	switch c.Op {
	case OpCreate:
		// What is refused makes nothing. What is refused most of the time makes nothing either.
		return c.Outcome == OK || c.Undecided() && (c.Variant == "" || c.Variant == "shared-name")
	case OpStart, OpStop, OpRemove:
		return c.Variant == "" && (c.Outcome == OK || c.Undecided())
	case OpExec:
		return (l.Autostart || l.Lazy) && (c.Outcome == OK || c.Undecided() || mayHaveStarted[c.Status])
	}
	return false
}

// Effective reports whether the answer of c says something about the state of its box.
func (l Lifecycle) Effective(c *Call) bool {
	switch c.Op {
	case OpGet:
		return c.Outcome == OK && len(c.Boxes) == 1 || c.Status == 404
	case OpList:
		return c.Outcome == OK
	}
	return l.Changes(c)
}

// Must reports whether c is known to have taken effect by the time it returned.
func (l Lifecycle) Must(c *Call) bool { return l.Effective(c) && !c.Undecided() }

// Drift returns s and the states a box may come to from s without any call.
func (l Lifecycle) Drift(s State) State {
	if s&Stopping != 0 {
		s |= Stopped
	}
	if s&Creating != 0 && l.Lazy {
		s |= Fresh
	} else if s&Creating != 0 {
		s |= Running
	}
	if s&Starting != 0 {
		s |= Running
	}
	if s&Removing != 0 {
		s |= Gone
	}
	return s
}

// Next returns the states that box ref, which is in the single state s, may be in after c took
// effect; 0 if c cannot take effect then.
func (l Lifecycle) Next(c *Call, ref Ref, s State) State {
	switch c.Op {
	case OpCreate:
		if s == Absent {
			return Creating
		}
	case OpStart:
		if s&(Stopped|Fresh) != 0 {
			return Starting
		}
		return s & (Running | Starting)
	case OpStop:
		return l.stopped(c, s)
	case OpRemove:
		if s&(Alive&^Removing) != 0 {
			return Removing
		}
	case OpExec:
		return l.execed(c, s)
	case OpGet, OpList:
		if slices.Contains(s.Shows(), shown(c, ref)) {
			return s
		}
	}
	return 0
}

func (l Lifecycle) stopped(c *Call, s State) State {
	switch s {
	case Running, Stopping:
		return Stopping
	case Fresh:
		return Fresh | Stopped
	case Stopped:
		// Only where a second stop may be accepted.
		if statuses, _, _ := (Contract{Rules: l.rules}).Allowed(c.Op, c.Variant, s); c.Undecided() || slices.Contains(statuses, c.Status) {
			return Stopped
		}
	}
	return 0
}

// execed is the effect of an exec where execs may start a box. One that got in while the box was
// being stopped may be carried by what was left of the run, or wait and start the box again.
func (l Lifecycle) execed(c *Call, s State) State {
	maybe := State(0)
	if c.Outcome != OK {
		maybe = s
	}
	switch {
	case s == Fresh, s == Stopped && l.Autostart:
		return Starting | maybe
	case s&(Running|Starting|Stopping|Creating) != 0:
		return s
	}
	return maybe
}

// Fence is the time until which c may take effect. Without a usable answer that is later than the
// client waited: as long as a server may hold a request, and then until what it accepted is done.
func (l Lifecycle) Fence(limits Limits, c *Call) int64 {
	if !c.Undecided() {
		return c.Return
	}
	return c.Return + int64(limits.Call+limits.Converge)
}

// Unfinished returns the states that a box cannot be in when c, which changed it, has been answered.
func (l Lifecycle) Unfinished(c *Call) State {
	if c.Undecided() {
		return 0
	}
	switch c.Op {
	case OpCreate:
		return Creating
	case OpStart:
		return Starting
	case OpRemove:
		return Removing
	case OpStop:
		if l.SyncStop {
			return Stopping
		}
	}
	return 0
}

// Result is what a box is after c, when nothing else is known about it.
func (l Lifecycle) Result(c *Call) State {
	switch c.Op {
	case OpCreate:
		if l.Lazy {
			return Fresh
		}
		return Running
	case OpStart, OpExec:
		return Running
	case OpStop:
		if l.SyncStop {
			return Stopped
		}
		return Stopping
	case OpRemove:
		return Gone
	}
	return 0
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
