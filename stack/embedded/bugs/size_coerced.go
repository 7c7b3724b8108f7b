package bugs

// SizeCoerced accepts impossible sizes.
var SizeCoerced = register(Bug{
	ID:        "size-coerced",
	Title:     "a create with cpus 0 or 999 or a negative memory answers 201",
	Reference: "#662",
	Where:     "api",
	Mechanism: "sizes out of range are replaced by the defaults instead of being refused",
	Promise:   "a size outside the documented range is refused with a 4xx and creates nothing",
})
