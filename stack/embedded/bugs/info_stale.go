package bugs

// InfoStale answers GET from a table that lags behind.
var InfoStale = register(Bug{
	ID:        "info-stale",
	Title:     "GET says an exec is running although its exit was sent to those attached",
	Reference: "ExecutionInfo beside the exit frame (code review)",
	Where:     "runner",
	Mechanism: "GET is answered from a table of states that a loop brings up to date at regular times, while attach sessions take the exit from the process",
	Promise:   "GET and the attach session tell the same of an exec: what has ended does not run again",
})
