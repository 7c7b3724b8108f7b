package bugs

// StdinEOFOvertakes lets the end of the input overtake the input.
var StdinEOFOvertakes = register(Bug{
	ID:        "stdin-eof-overtakes",
	Title:     "a command that is sent input and its end at once may see the end too early",
	Reference: "attach stdin (code review)",
	Where:     "runner",
	Mechanism: "the end of the input has a channel of its own, and the pump takes whichever it finds first",
	Promise:   "all input that a session sent before the end of the input reaches the command",
})
