package bugs

// UTF8Mangled replaces characters that lie across two chunks of output.
var UTF8Mangled = register(Bug{
	ID:        "utf8-mangled",
	Title:     "some characters of several bytes come as U+FFFD",
	Reference: "#1155, PR 1200",
	Where:     "runner",
	Mechanism: "output is decoded as UTF-8 chunk by chunk, so both halves of a character that a chunk boundary cuts are invalid by themselves",
	Promise:   "output is bytes: what the command wrote is what the caller gets",
})
