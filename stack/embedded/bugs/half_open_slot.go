package bugs

// HalfOpenSlot waits for ever for callers that are gone without a word.
var HalfOpenSlot = register(Bug{
	ID:        "half-open-slot",
	Title:     "after a caller's connection is lost without a word, every later attach is refused with 409",
	Reference: "half-open attach (contract: the slot is held until the connection is really over)",
	Where:     "runner",
	Mechanism: "nobody looks whether an attached caller still answers pings, and the end of the session waits for the Close of a caller that is not there any more, without a time limit",
	Promise:   "the slot of an execution is free again within seconds of the end of the session that had it, however that ended",
	Needs:     "schedule",
})
