package bugs

// NameRace lets two creates of one name both succeed.
var NameRace = register(Bug{
	ID:        "name-race",
	Title:     "two concurrent creates of one name both answer 201",
	Reference: "PR 1400 (the same, on names)",
	Where:     "api",
	Mechanism: "the name is looked up before the organization's limits are awaited and the row is inserted after; the insert does not look again",
	Promise:   "a box name is unique within its organization: of several creates of one name at most one succeeds",
})
