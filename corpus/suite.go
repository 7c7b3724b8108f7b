package corpus

import (
	"cmp"
	"embed"
	"path"
	"slices"
	"strings"

	"chaos/model"
)

// suite is the regression suite, as it was when the program was built.
//
//go:embed regressions/*.case
var suite embed.FS

// Known returns the shortest case of the regression suite that needs bug and no other, and of equally
// short ones the one that fails most often: the least that is known to show it. nil if there is none.
func Known(bug string, vocab model.Vocabulary) (*Case, error) {
	entries, err := suite.ReadDir("regressions")
	if err != nil {
		return nil, err
	}
	var list []*Case
	for _, e := range entries {
		data, err := suite.ReadFile(path.Join("regressions", e.Name()))
		if err != nil {
			return nil, err
		}
		c, err := Parse(e.Name(), data, vocab)
		if err != nil {
			return nil, err
		}
		if len(c.Bugs) == 1 && c.Bugs[0] == bug {
			c.Name = strings.TrimSuffix(e.Name(), Ext)
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b *Case) int {
		return cmp.Or(len(a.Plan.Steps)-len(b.Plan.Steps), cmp.Compare(b.Certificate.Rate(), a.Certificate.Rate()), strings.Compare(a.Name, b.Name))
	})
	if len(list) == 0 {
		return nil, nil
	}
	return list[0], nil
}
