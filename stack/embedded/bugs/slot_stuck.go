package bugs

// SlotStuck never gives the slot of some attachments back.
var SlotStuck = register(Bug{
	ID:        "slot-stuck",
	Title:     "after a caller hangs up at the moment of the exit, every later attach is refused with 409",
	Reference: "serve attach (catalogue row 18)",
	Where:     "runner",
	Mechanism: "when the exit has been sent and the caller vanishes instead of answering Close, both halves of the session are over at once; the one that is looked at twice panics before the slot is given back",
	Promise:   "the slot of an execution is free again within seconds of the end of the session that had it, however that ended",
})
