package bugs

// ListGhost brings deleted boxes back.
var ListGhost = register(Bug{
	ID:        "list-ghost",
	Title:     "a deleted box reappears in the list and stays",
	Reference: "PR 861 (family of)",
	Where:     "api",
	Mechanism: "a sync report that the runner took before the destroy finished is upserted without a look at the desired state, and the completion of the destroy then finds a row it does not recognize",
	Promise:   "a deleted box stays deleted: it is not found and not listed again",
})
