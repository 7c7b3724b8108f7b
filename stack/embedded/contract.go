package embedded

import (
	"fmt"

	"chaos/model"
)

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
