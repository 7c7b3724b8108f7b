package bugs

// RestartForgetsStop answers a stop before it is written.
var RestartForgetsStop = register(Bug{
	ID:        "restart-forgets-stop",
	Title:     "a stop that was answered is forgotten when the API is killed: the box reads running for ever, and runs",
	Reference: "PR 756 (review, the same the other way round)",
	Where:     "api",
	Mechanism: "a stop is answered from memory; its row and its job are written behind, in batches, so an API that dies in between comes back with the box as it was and with nothing to do",
	Promise:   "an accepted stop leads to stopped and stays there until somebody starts the box",
	Needs:     "api-kill",
})
