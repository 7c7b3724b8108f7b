package bugs

// StopSparesChildren ends a stop when the leaders of the executions have ended.
var StopSparesChildren = register(Bug{
	ID:        "stop-spares-children",
	Title:     "background processes of a box are still there after a stop and a start",
	Reference: "PR 876, #565",
	Where:     "runner",
	Mechanism: "stop signals the recorded leaders and reports the box as stopped while its sandbox lives; start finds that and uses it again",
	Promise:   "a stop ends every process of the box",
})
