package invariants

type outputOwn struct{}

var _ = register(outputOwn{})

func (outputOwn) Name() string { return "output-own" }

func (outputOwn) Promise() string {
	return "An exec's output holds nothing that another exec wrote, in the same box or another."
}

func (outputOwn) Source() string {
	return "BoxLite isolation of execs and boxes; test_runner_concurrency, test_cross_box_isolation"
}

func (outputOwn) Check(f *Facts) []Finding { return streamFindings(f, Foreign) }
