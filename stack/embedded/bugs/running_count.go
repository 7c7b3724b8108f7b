package bugs

// RunningCount counts by subtraction.
var RunningCount = register(Bug{
	ID:        "running-count",
	Title:     "the number of running boxes is wrong after a box was removed or started again",
	Reference: "RuntimeMetrics::num_running_boxes (src/boxlite/src/metrics/runtime_metrics.rs)",
	Where:     "api",
	Mechanism: "the number is calculated as boxes created less boxes stopped less boxes failed, which knows neither removals of running boxes nor second starts",
	Promise:   "the metrics of an organization say how many of its boxes run",
})
