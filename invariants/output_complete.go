package invariants

type outputComplete struct{}

var _ = register(outputComplete{})

func (outputComplete) Name() string { return "output-complete" }

func (outputComplete) Promise() string {
	return "An attach session that ends by itself carries every byte the command wrote, however short the command was and however often it is attached."
}

func (outputComplete) Source() string {
	return "BoxLite attach protocol: every accepted byte precedes the exit frame, the backlog is replayed in full; #563, #627"
}

func (outputComplete) Check(f *Facts) []Finding { return streamFindings(f, Truncated, Missing) }
