package bugs

// BlankName takes a blank name for none.
var BlankName = register(Bug{
	ID:        "blank-name",
	Title:     "a create with a blank name answers 201 and makes up a name",
	Reference: "PR 853",
	Where:     "api",
	Mechanism: "an empty name counts as none, so the default steps in before the name is checked",
	Promise:   "a name that breaks the rules is refused with 400",
})
