package bugs

// QuotaRace lets creates overtake the count of boxes.
var QuotaRace = register(Bug{
	ID:        "quota-race",
	Title:     "concurrent creates take an organization over its limit of boxes",
	Reference: "PR 1400, PR 1417",
	Where:     "api",
	Mechanism: "the boxes of the organization are counted before its limits are awaited and the row is inserted after; the insert does not count again",
	Promise:   "an organization never has more boxes than its limit: of the creates that compete for the last place one succeeds and the others answer 429",
})
