package embedded

import (
	"fmt"

	"chaos/model"
	"chaos/stack/embedded/bugs"
)

// within returns the bugs of set that are there under contract c: some stand in code that only a server
// with another contract has.
func within(set bugs.Set, c model.Contract) bugs.Set {
	out := bugs.Set{}
	for id, on := range set {
		b, _ := bugs.Get(id)
		needs, err := model.ParseFlags(b.Contract)
		for flag, value := range needs {
			on = on && c.Flags[flag] == value
		}
		out[id] = on && err == nil
	}
	return out
}

// Contract returns the contract that a stack with these options keeps. It fails on one that the
// embedded stack cannot keep.
func (o Options) Contract() (model.Contract, error) {
	profile := o.Profile
	if profile == "" {
		profile = "cloud"
	}
	own, ok := model.Lookup(profile, nil)
	if !ok || profile != "cloud" && profile != "serve" {
		return model.Contract{}, fmt.Errorf("the embedded stack plays cloud or serve, not %s", profile)
	}
	for _, spec := range model.FlagSpecs() {
		value, given := o.Flags[spec.Name]
		if given && spec.Name != model.FlagExecOnStopped && value != own.Flags[spec.Name] {
			return model.Contract{}, fmt.Errorf("the embedded stack cannot play %s with %s=%s, only with %s", profile, spec.Name, value, own.Flags[spec.Name])
		}
	}
	c, _ := model.Lookup(profile, o.Flags)
	return c, nil
}
