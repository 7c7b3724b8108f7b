package bugs

// CodeMinusOne keeps a passing failure of the wait as the exit code.
var CodeMinusOne = register(Bug{
	ID:        "code-minus-one",
	Title:     "a command that ended well has exit code -1 when several run in its box",
	Reference: "PR 1022 (review)",
	Where:     "runner",
	Mechanism: "the box's channel carries a few waits at a time and refuses the next as unavailable; the refusal is kept as the exit code instead of being tried again",
	Promise:   "an exec's exit code is its command's own; -1 is only for what was stopped or killed",
})
