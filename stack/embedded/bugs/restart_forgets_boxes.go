package bugs

// RestartForgetsBoxes takes the boxes of an earlier runner for dead.
var RestartForgetsBoxes = register(Bug{
	ID:        "restart-forgets-boxes",
	Title:     "after a restart of the runner boxes that run are reported as stopped, and their processes go on",
	Reference: "#565",
	Where:     "runner",
	Mechanism: "recovery judges the process of each box that an earlier runner started to be dead; the box is marked as stopped and its processes are left alone",
	Promise:   "a box that runs is reported as running, and nothing of it is left once it is stopped or removed",
	Needs:     "runner-kill",
})
