package bugs

// AutostartStaleStatus lets an exec start a stopped box without anybody noting it.
var AutostartStaleStatus = register(Bug{
	ID:        "autostart-stale-status",
	Title:     "a box that an exec has started reads stopped for ever",
	Reference: "PR 861",
	Where:     "api",
	Mechanism: "the API passes the exec on and lets the runner start the box, so the record stays stopped; the runner's report does not mend it, because the record is to be stopped",
	Promise:   "a box that an exec has started is shown as running, and stays so until somebody stops it",
	Contract:  "exec-on-stopped=autostart",
})
