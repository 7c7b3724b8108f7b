package bugs

// SlowReaderStall lets a caller that does not read hold up other executions.
var SlowReaderStall = register(Bug{
	ID:        "slow-reader-stall",
	Title:     "while one caller does not read, the other executions of the box neither go on nor end",
	Reference: "PR 812",
	Where:     "runner",
	Mechanism: "output is sent to callers under the lock that the pumps of all executions of the box need to store theirs",
	Promise:   "a caller that does not read holds up nobody else",
})
