package bugs

// StopExecOrphan loses an execution that starts while its box stops.
var StopExecOrphan = register(Bug{
	ID:        "stop-exec-orphan",
	Title:     "an exec that meets a stop is accepted and never ends: it reads running, attach is silent",
	Reference: "stop against exec (catalogue row 37)",
	Where:     "runner",
	Mechanism: "a stop resolves the executions in its table first and awaits the starts in flight afterwards, so an execution that registers in between is resolved by nobody",
	Promise:   "every accepted exec ends, also when its box stops; an exec that meets a stop is refused with 409 or ends with 137",
})
