package invariants

type outputExact struct{}

var _ = register(outputExact{})

func (outputExact) Name() string { return "output-exact" }

func (outputExact) Promise() string {
	return "Within one attach session no byte comes twice, in another order, or changed."
}

func (outputExact) Source() string {
	return "BoxLite attach protocol: per stream, bytes in order, once per session"
}

func (outputExact) Check(f *Facts) []Finding {
	return streamFindings(f, Duplicated, Reordered, Corrupt)
}
