package bugs

// RestartDropsJob leaves a job with the runner that died over it.
var RestartDropsJob = register(Bug{
	ID:        "restart-drops-job",
	Title:     "a box whose job was in progress when the runner was killed stays as it is for ever: creating, starting, stopping or destroying",
	Reference: "PR 1091, PR 1104",
	Where:     "api",
	Mechanism: "a job that was handed out counts as in progress until its completion comes, also when the runner that had it was replaced",
	Promise:   "every accepted change of a box comes to its end",
	Needs:     "runner-kill",
})
