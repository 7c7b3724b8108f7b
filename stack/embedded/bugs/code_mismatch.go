package bugs

// CodeMismatch makes body and status of an error disagree.
var CodeMismatch = register(Bug{
	ID:        "code-mismatch",
	Title:     "a state-rule violation answers 400 with statusCode 500 and no code in its body",
	Reference: "#1311",
	Where:     "api",
	Mechanism: "the error class of the state rules sets the status of the response but leaves the body to the default of its base class",
	Promise:   "the body of an error names the status it came with and a code that clients can dispatch on",
})
