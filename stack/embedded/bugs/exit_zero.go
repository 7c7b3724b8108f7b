package bugs

// ExitZero hides death by signal from the status of an execution.
var ExitZero = register(Bug{
	ID:        "exit-zero",
	Title:     "a command killed by a signal reads exit code 0, while the attach frame says 128+N",
	Reference: "PR 1022 (review)",
	Where:     "runner",
	Mechanism: "the execution's status map takes the exit status out of the wait status without looking whether a signal ended the process",
	Promise:   "an execution has one exit code, the same in the exit frame and in GET, and 128+N after signal N",
})
