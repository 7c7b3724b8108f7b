package bugs

// OutputBleed keeps output in buffers that others write to.
var OutputBleed = register(Bug{
	ID:        "output-bleed",
	Title:     "an execution's output holds bytes of another one",
	Reference: "test_runner_concurrency (e2e)",
	Where:     "runner",
	Mechanism: "a pooled read buffer is kept in the log without a copy and given back to the pool, so whoever takes it next writes over it",
	Promise:   "an execution's output is what its own command wrote, byte for byte",
})
