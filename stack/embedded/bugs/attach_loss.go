package bugs

// AttachLoss hands each byte of output out only once.
var AttachLoss = register(Bug{
	ID:        "attach-loss",
	Title:     "after a cut connection the next attach lacks what the lost one had been sent",
	Reference: "#627",
	Where:     "runner",
	Mechanism: "the backlog is consumed by the attachment that reads it, so a later attach gets only what nobody has read yet",
	Promise:   "an attach replays the backlog from the oldest byte kept, whatever earlier attachments have read",
})
