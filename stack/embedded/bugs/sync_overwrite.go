package bugs

// SyncOverwrite lets an old sync report undo a stop.
var SyncOverwrite = register(Bug{
	ID:        "sync-overwrite",
	Title:     "a stopped box reads running again (or a started one stopped)",
	Reference: "PR 515 (review)",
	Where:     "api",
	Mechanism: "the runner's report is written over the record without checking what changed since the report was taken, so it cancels a stop or start in flight, whose completion then does not apply",
	Promise:   "an accepted stop leads to stopped and stays there until somebody starts the box",
})
