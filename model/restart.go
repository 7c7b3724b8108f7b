package model

// What an exec does to its box, beyond running a command, where execs start boxes.

// mayHaveStarted lists the refusals of an exec that can come after the box was started for it: the
// command cannot be started, or the box was removed or stopped in between.
var mayHaveStarted = map[int]bool{404: true, 409: true, 422: true}

// Restarts reports whether c may start its box any number of times while it is under way: a server
// that makes the box ready first has to do so again when a stop comes before the command.
func (l Lifecycle) Restarts(c *Call) bool {
	return c.Op == OpExec && l.Autostart && l.Changes(c)
}

// Puts returns the states that c, while it is under way, may put its box into and take it out of again.
func (l Lifecycle) Puts(c *Call) State {
	if !l.Changes(c) {
		return 0
	}
	switch c.Op {
	case OpCreate:
		return Creating
	case OpStart, OpExec:
		return Starting
	case OpStop:
		return Stopping
	case OpRemove:
		return Removing
	}
	return 0
}

// Meets returns the states in which c may find its box after its own effect: an exec that has
// started its box can still be refused, because the box was stopped or removed before the command.
func (l Lifecycle) Meets(c *Call) State {
	if c.Op == OpExec && c.Outcome == Rejected && l.Changes(c) {
		return AnyState &^ (Starting | Running)
	}
	return 0
}
