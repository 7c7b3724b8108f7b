package bugs

// TenantLeak lets the proxy forget whose a box is.
var TenantLeak = register(Bug{
	ID:        "tenant-leak",
	Title:     "executions and metrics of a box can be reached with the key of another organization",
	Reference: "POL-257 (test_cross_org_isolation)",
	Where:     "api",
	Mechanism: "the proxy finds the box by its id alone; whose it is is checked only where the API answers by itself",
	Promise:   "a box of another organization cannot be told from one that does not exist",
})
