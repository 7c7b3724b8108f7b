package bugs

// ResizeSwapped exchanges rows and columns.
var ResizeSwapped = register(Bug{
	ID:        "resize-swapped",
	Title:     "a terminal resized to R rows and C columns has C rows and R columns",
	Reference: "resize argument order (contract)",
	Where:     "runner",
	Mechanism: "the REST handler passes columns and rows to the terminal in the wrong order",
	Promise:   "after a resize the terminal has the rows and columns that were asked for",
})
