package bugs

// RootfsLost gives a box an empty root file system at each start.
var RootfsLost = register(Bug{
	ID:        "rootfs-lost",
	Title:     "what was written in a box is gone after a stop and a start",
	Reference: "test_restart_persistence (e2e)",
	Where:     "runner",
	Mechanism: "a start prepares the directory of the box the way a create does, and so throws away what the last run left there",
	Promise:   "the files of a box survive a stop",
})
