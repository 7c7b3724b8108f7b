package model

import "slices"

// Rule says which statuses an operation may be answered with while the box is in any of the states
// of When. Variant "" is the ordinary request; other variants are requests with something wrong in
// them, whose answer does not depend on the box unless When narrows it.
type Rule struct {
	Op      string
	Variant string
	When    State
	Allow   []int
	Source  string // where the contract says so
}

// Contract is what one kind of server promises.
type Contract struct {
	Profile string
	Rules   []Rule
}

// Allowed returns the statuses that op may be answered with when the box may be in any state of
// set, the union over the states. ok is false when no rule covers the operation: then nothing can be said.
func (c Contract) Allowed(op, variant string, set State) (statuses []int, sources []string, ok bool) {
	covered := State(0)
	for _, r := range c.Rules {
		if r.Op != op || r.Variant != variant || r.When&set == 0 {
			continue
		}
		covered |= r.When & set
		for _, s := range r.Allow {
			if !slices.Contains(statuses, s) {
				statuses = append(statuses, s)
			}
		}
		if !slices.Contains(sources, r.Source) {
			sources = append(sources, r.Source)
		}
	}
	slices.Sort(statuses)
	return statuses, sources, set != 0 && covered == set
}

// Lookup returns the contract of a profile.
func Lookup(profile string) (Contract, bool) {
	for _, c := range []Contract{Cloud()} {
		if c.Profile == profile {
			return c, true
		}
	}
	return Contract{}, false
}

// Cloud is the contract of BoxLite's API with a runner behind it, where exec on a stopped box is
// refused. Start and stop may answer 200 or 201: the specification says the one, the API does the other.
func Cloud() Contract {
	const (
		table = "operation × state of the API and the runner"
		codes = "error code table"
		spec  = "OpenAPI specification"
		auth  = "authentication"
	)
	alive := Creating | Running | Stopping | Stopped | Starting | Removing
	busy := Creating | Starting | Removing // neither what it was nor yet what it will be
	none := Absent | Gone
	return Contract{Profile: "cloud", Rules: []Rule{
		{OpCreate, "", Absent, []int{201}, spec},
		{OpCreate, "shared-name", AnyState, []int{201, 409}, spec}, // who may win is for the check of names
		{OpCreate, "cpus-zero", AnyState, []int{400, 422}, spec},
		{OpCreate, "cpus-huge", AnyState, []int{400, 422, 429}, spec},
		{OpCreate, "memory-negative", AnyState, []int{400, 422}, spec},
		{OpCreate, "name-blank", AnyState, []int{400, 422}, spec},
		{OpCreate, "unknown-image", AnyState, []int{400, 404, 422}, spec},

		{OpGet, "", alive, []int{200}, spec},
		{OpGet, "", none | Creating | Removing, []int{404}, spec},
		{OpList, "", AnyState, []int{200}, spec},

		{OpStart, "", Running | Stopped | Starting | Creating, []int{200, 201}, table},
		{OpStart, "", busy | Stopping, []int{400, 409}, table},
		{OpStart, "", none | busy, []int{404}, table},

		{OpStop, "", Running, []int{200, 201}, table},
		{OpStop, "", Stopping | Stopped | busy, []int{400, 409}, table},
		{OpStop, "", Stopping, []int{200, 201}, table},
		{OpStop, "", none | busy, []int{404}, table},

		{OpRemove, "", Running | Stopped | Stopping, []int{204}, table},
		{OpRemove, "", Stopping | busy, []int{400, 409}, table},
		{OpRemove, "", none | busy, []int{404}, table},

		{OpExec, "", Running | Stopping | busy, []int{201}, table},
		{OpExec, "", Stopping | Stopped | busy, []int{409}, "exec on a stopped box is a typed refusal (#684)"},
		{OpExec, "", none | busy, []int{404}, table},
		{OpExec, "missing-binary", Running | Stopping | busy, []int{422}, codes},
		{OpExec, "missing-binary", Stopping | Stopped | busy, []int{409}, table},
		{OpExec, "missing-binary", none | busy, []int{404}, table},
		{OpExec, "bad-dir", Running | Stopping | busy, []int{422}, codes},
		{OpExec, "bad-dir", Stopping | Stopped | busy, []int{409}, table},
		{OpExec, "bad-dir", none | busy, []int{404}, table},

		{OpMetrics, "", Running, []int{200}, table},
		{OpMetrics, "", Stopping | Stopped | busy, []int{200, 404, 409}, table},
		{OpMetrics, "", none, []int{404}, table},

		{OpInfo, "", alive, []int{200, 404}, spec}, // 404 once the execution is deleted or expired
		{OpInfo, "", none, []int{404}, spec},
		{OpAttach, "", alive, []int{101, 404, 409, 410}, spec}, // 409: only one at a time; being killed
		{OpAttach, "", none, []int{404}, spec},
		{OpSignal, "", alive, []int{204, 404, 409}, spec},
		{OpSignal, "", none, []int{404}, spec},
		{OpSignal, "not-allowed", alive, []int{400}, "signal white list, checked before any look-up"},
		{OpSignal, "not-allowed", none | busy, []int{400, 404}, spec},
		{OpKill, "", alive, []int{204, 404, 409}, spec},
		{OpKill, "", none, []int{404}, spec},
		{OpResize, "", alive, []int{204, 404, 409}, spec},
		{OpResize, "", none, []int{404}, spec},
		{OpResize, "no-terminal", alive, []int{400, 404, 409}, spec},
		{OpResize, "no-terminal", none, []int{404}, spec},

		{OpProbe, "", AnyState, []int{401, 403}, auth},
	}}
}
