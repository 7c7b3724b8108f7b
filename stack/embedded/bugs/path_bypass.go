package bugs

// PathBypass runs commands in the API process.
var PathBypass = register(Bug{
	ID:        "path-bypass",
	Title:     "under load the API runs a command itself and the runner never sees it",
	Reference: "PR 678",
	Where:     "api",
	Mechanism: "while another exec request to the runner is in flight, a fast path starts the command with a local executor in the API process",
	Promise:   "every exec takes the whole path: the runner's journal shows each execution that answered 201",
})
