package bugs

// AttachRST resets an attach connection after the Close.
var AttachRST = register(Bug{
	ID:        "attach-rst",
	Title:     "an attached client loses the end of the output, the exit frame or the Close",
	Reference: "PR 1546, PR 1569",
	Where:     "runner",
	Mechanism: "the server resets the connection right after writing its Close instead of waiting for the peer's, which destroys what is still on its way",
	Promise:   "an attached caller receives all output, the exit frame and Close 1000, in this order",
})
