package bugs

// CallbackLost sends the completion of a job only once.
var CallbackLost = register(Bug{
	ID:        "callback-lost",
	Title:     "a box whose job ended while the API was away stays as it is for ever: creating, starting, stopping or destroying",
	Reference: "PR 1091, PR 1104",
	Where:     "runner",
	Mechanism: "the runner tells the API once that a job is done and takes the missing answer for one; when the job is handed out again it is known as done, and nobody tells the API",
	Promise:   "every accepted change of a box comes to its end",
	Needs:     "api-kill",
})
