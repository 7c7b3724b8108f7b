package bugs

// DoubleAttach lets two callers who attach at the same time both in.
var DoubleAttach = register(Bug{
	ID:        "double-attach",
	Title:     "two concurrent read-write attaches of one execution both answer 101",
	Reference: "attach slot (contract: claimed before the upgrade)",
	Where:     "runner",
	Mechanism: "the slot is only looked at before the upgrade; it is taken once the caller has shown that it is there, without a second look",
	Promise:   "an execution has at most one read-write attachment; the loser gets 409",
})
