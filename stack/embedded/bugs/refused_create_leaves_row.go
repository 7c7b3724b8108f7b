package bugs

// RefusedCreateLeavesRow leaves a record of a create that was refused.
var RefusedCreateLeavesRow = register(Bug{
	ID:        "refused-create-leaves-row",
	Title:     "a create refused for its image leaves a box with status unknown in the list",
	Reference: "PR 1427",
	Where:     "api",
	Mechanism: "the row is inserted before the image is checked, and the refusal only marks it as errored",
	Promise:   "a refused create leaves no box behind and does not take its name",
})
