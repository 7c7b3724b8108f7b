package bugs

// Unguarded500 leaves a controller without its guard.
var Unguarded500 = register(Bug{
	ID:        "unguarded-500",
	Title:     "the routes below a box answer 500 instead of 401 without a valid key",
	Reference: "POL-331",
	Where:     "api",
	Mechanism: "the guard is missing on one controller, so its handlers run without a caller and fail on the organization that is not there",
	Promise:   "a request without a valid key is answered 401 or 403 on every route",
})
