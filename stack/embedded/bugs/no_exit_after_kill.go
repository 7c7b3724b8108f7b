package bugs

// NoExitAfterKill loses the exit of a deleted exec.
var NoExitAfterKill = register(Bug{
	ID:        "no-exit-after-kill",
	Title:     "the attach session of a deleted exec is closed without an exit frame",
	Reference: "DELETE execution (OpenAPI): an attached client still gets the exit",
	Where:     "runner",
	Mechanism: "DELETE takes the execution out of the table before it kills it; an attach session looks its exit code up there when the output ends, finds nothing and leaves",
	Promise:   "who is attached to an exec that is deleted gets its exit, 137 or -9, and a normal close",
})
