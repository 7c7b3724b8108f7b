package bugs

// Stopped500 makes a server error of exec on a stopped box.
var Stopped500 = register(Bug{
	ID:        "stopped-500",
	Title:     "exec on a stopped box answers 500",
	Reference: "#684",
	Where:     "runner",
	Mechanism: "the handler knows no class for the error of a start on an invalidated handle and answers 500 with its text",
	Promise:   "exec on a stopped box is refused with 409; a known state is never a server error",
})
