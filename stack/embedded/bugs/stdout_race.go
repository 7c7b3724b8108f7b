package bugs

// StdoutRace lets the exit of an execution overtake its output.
var StdoutRace = register(Bug{
	ID:        "stdout-race",
	Title:     "a short command exits 0 and its output is empty or cut",
	Reference: "#563, PR 685, PR 705",
	Where:     "runner",
	Mechanism: "output reaches the log through an event loop while the exit takes the short way: when the wait returns the stream is sealed without awaiting the pumps, and what arrives later is dropped",
	Promise:   "everything a command wrote before it ended is delivered before its exit",
})
