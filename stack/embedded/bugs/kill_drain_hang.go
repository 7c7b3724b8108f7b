package bugs

// KillDrainHang loses the end of the output of a deleted exec.
var KillDrainHang = register(Bug{
	ID:        "kill-drain-hang",
	Title:     "the attach session of a deleted exec never ends",
	Reference: "test_exec_timeout (e2e, docstring)",
	Where:     "runner",
	Mechanism: "DELETE takes the execution out of the table before it kills it; the event of its end is routed by id, finds nobody, and the output is never sealed",
	Promise:   "every exec resolves for those attached to it, also when it is deleted",
})
