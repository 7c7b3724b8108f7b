package bugs

// BoxDirsShared hands the directory of a removed box to the next one of its name.
var BoxDirsShared = register(Bug{
	ID:        "box-dirs-shared",
	Title:     "a new box holds the files of a removed one that had its name",
	Reference: "#71",
	Where:     "runner",
	Mechanism: "the directory of a box is made under its name but removed under its id, so it is left behind and found again by the next box of that name",
	Promise:   "a new box has a file system of its own, in which nobody else has written",
})
