package bugs

// QuotaRace lets an organization exceed its box limit.
var QuotaRace = register(Bug{
	ID:        "quota-race",
	Title:     "parallel creates exceed the organization's box limit",
	Reference: "PR 1400",
	Where:     "api",
	Mechanism: "boxes are counted before the organization's limits are awaited and the row is inserted after, without counting again",
	Promise:   "an organization never has more boxes than its limit",
})
