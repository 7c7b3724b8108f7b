package bugs

import (
	"fmt"

	"chaos/model"
)

// Contract returns the flags of the contract that the bugs of set need to show. It fails when two
// need different ones.
func Contract(set Set) (model.Flags, error) {
	out := model.Flags{}
	from := map[string]ID{}
	for _, b := range All() {
		if !set.Has(b.ID) {
			continue
		}
		flags, err := model.ParseFlags(b.Contract)
		if err != nil {
			return nil, fmt.Errorf("contract of %s: %w", b.ID, err)
		}
		for name, value := range flags {
			if old, ok := out[name]; ok && old != value {
				return nil, fmt.Errorf("%s needs %s=%s and %s needs %s=%s", from[name], name, old, b.ID, name, value)
			}
			out[name], from[name] = value, b.ID
		}
	}
	return out, nil
}
