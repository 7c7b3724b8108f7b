package bugs

// EnvBleed lets executions see the variables of those before them.
var EnvBleed = register(Bug{
	ID:        "env-bleed",
	Title:     "an exec has the environment variables of earlier execs in its box",
	Reference: "test_exec_comprehensive (e2e)",
	Where:     "runner",
	Mechanism: "what an exec asks for is merged into the map of the box instead of a copy of it, and the map is handed to the next one",
	Promise:   "the environment that is asked for with an exec is for that exec only",
})
