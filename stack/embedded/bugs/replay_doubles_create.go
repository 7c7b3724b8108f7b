package bugs

// ReplayDoublesCreate makes a box again when its job comes again.
var ReplayDoublesCreate = register(Bug{
	ID:        "replay-doubles-create",
	Title:     "a box is made twice when the API is restarted, and what runs in the first of the two is never ended",
	Reference: "PR 855, PR 756 (review)",
	Where:     "runner",
	Mechanism: "after a restart the API hands out again what was not completed; the runner does not look whether it has the job, has done it or has the box, so a second sandbox takes the place of the first, which nobody ends",
	Promise:   "a box is made once, and nothing of it is left when it is removed",
	Needs:     "api-kill",
})
