package cli

import (
	"slices"
	"strings"

	"chaos/actions"
	"chaos/model"
	"chaos/stack/embedded/bugs"
)

// scheduled is what bugs need that show only when messages are scheduled.
const scheduled = "schedule"

// needs is the flag of run without which a bug does not show.
func needs(b bugs.Bug) string {
	if b.Needs == scheduled {
		return "--schedule on"
	}
	return "--faults " + b.Needs
}

// faultsFor returns the faults without which a bug does not show.
func faultsFor(b bugs.Bug) []string {
	if b.Needs == "" || b.Needs == scheduled {
		return nil
	}
	return []string{b.Needs}
}

// faultsIn returns the names of the faults of a plan.
func faultsIn(p model.Plan) []string {
	var out []string
	for _, s := range p.Steps {
		if a, ok := actions.Get(s.Action); ok && a.Spec().Fault && !slices.Contains(out, s.Action) {
			out = append(out, s.Action)
		}
	}
	return out
}

func faultNames() []string {
	var out []string
	for _, f := range actions.Faults() {
		out = append(out, f.Spec().Name)
	}
	return out
}

// parseFaults reads the value of --faults: all, or names separated by commas.
func parseFaults(list string) ([]string, error) {
	switch list {
	case "":
		return nil, nil
	case "all":
		return faultNames(), nil
	}
	var out []string
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		if !slices.Contains(faultNames(), name) {
			return nil, usagef("--faults: no fault is called %q; want all, or some of %s", name, strings.Join(faultNames(), ", "))
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out, nil
}
