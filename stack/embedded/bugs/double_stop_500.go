package bugs

// DoubleStop500 makes a second stop a server error.
var DoubleStop500 = register(Bug{
	ID:        "double-stop-500",
	Title:     "stop on a box whose stop is pending answers 500",
	Reference: "test_invalid_state (e2e)",
	Where:     "api",
	Mechanism: "the pending check of stop throws an untyped error, which the catch-all turns into a server error",
	Promise:   "an operation that the state of a box forbids is refused with a 4xx, never a 5xx",
})
