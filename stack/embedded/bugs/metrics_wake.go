package bugs

// MetricsWake boots what is only looked at.
var MetricsWake = register(Bug{
	ID:        "metrics-wake",
	Title:     "reading the metrics of a stopped box starts it",
	Reference: "PR 1411",
	Where:     "runner",
	Mechanism: "the handler asks for the box the way an exec does, which boots it when it is stopped",
	Promise:   "a look at a box does not change it: metrics never wake a stopped box",
})
