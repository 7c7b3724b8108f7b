package bugs

// ResizeNoTTY accepts a resize where there is no terminal.
var ResizeNoTTY = register(Bug{
	ID:        "resize-no-tty",
	Title:     "resizing an execution that has no terminal answers 204",
	Reference: "test_resize_tty (e2e)",
	Where:     "runner",
	Mechanism: "the handler takes the missing terminal for nothing to do and drops the error",
	Promise:   "a resize without a terminal is refused with 400",
})
