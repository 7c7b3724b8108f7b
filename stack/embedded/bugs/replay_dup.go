package bugs

// ReplayDup subscribes before it takes the snapshot of the backlog.
var ReplayDup = register(Bug{
	ID:        "replay-dup",
	Title:     "an attach delivers a piece of the output twice",
	Reference: "attach backlog (code review)",
	Where:     "runner",
	Mechanism: "the subscription to live output is made when the slot is claimed and the backlog is copied after the upgrade, once the caller has answered a ping; what is written in between is in both",
	Promise:   "within one attach every byte is delivered exactly once and in order",
})
