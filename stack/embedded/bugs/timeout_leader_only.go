package bugs

// TimeoutLeaderOnly ends only the leader of an exec at its time limit.
var TimeoutLeaderOnly = register(Bug{
	ID:        "timeout-leader-only",
	Title:     "an exec that outlives its time limit never resolves when it has a child: attach is silent, GET says running",
	Reference: "#910, #1459",
	Where:     "runner",
	Mechanism: "at the end of the time limit only the leader is signalled, and then its output is read to the end of the streams, which its children still hold open",
	Promise:   "a time limit ends a command with all its children, and the exec resolves soon after",
})
