package bugs

// ReconcilerStopsAgain stops a box that an exec has started.
var ReconcilerStopsAgain = register(Bug{
	ID:        "reconciler-stops-again",
	Title:     "a box that an exec has started is stopped again while the command runs",
	Reference: "PR 861 (its reason)",
	Where:     "api",
	Mechanism: "the API passes the exec on and lets the runner start the box; the next report of the runner shows a box that runs and whose record is to be stopped, so the API stops it",
	Promise:   "a box that an exec has started stays running until somebody stops it",
	Contract:  "exec-on-stopped=autostart",
})
