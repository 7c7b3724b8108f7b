package bugs

// RemovedExec500 makes an exec on a deleted box a server error.
var RemovedExec500 = register(Bug{
	ID:        "removed-exec-500",
	Title:     "exec on a deleted box answers 500 instead of 404",
	Reference: "test_runner_concurrency (e2e, expected failure)",
	Where:     "api",
	Mechanism: "the proxy looks the box up without its destroyed flag and forwards; the runner's answer for a box it does not know falls into the catch-all",
	Promise:   "an operation on a box that does not exist is answered 404",
})
