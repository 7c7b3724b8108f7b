package bugs

// LeaderOnlyKill leaves the init and the background processes of a box alive.
var LeaderOnlyKill = register(Bug{
	ID:        "leader-only-kill",
	Title:     "processes of a stopped or deleted box live on",
	Reference: "PR 876, #1239, PR 1240",
	Where:     "runner",
	Mechanism: "stop and destroy signal the recorded leaders of the executions and forget the sandbox instead of killing its init",
	Promise:   "when a box is stopped or deleted none of its processes is left",
})
