package bugs

import (
	"slices"
	"strings"
)

// suggestion is "did you mean …? " with at most three names that share a word with name, or "".
func suggestion(name string) string {
	var near []string
	for _, b := range All() {
		if slices.ContainsFunc(strings.Split(string(b.ID), "-"), func(word string) bool { return slices.Contains(strings.Split(name, "-"), word) }) {
			near = append(near, string(b.ID))
		}
	}
	if len(near) == 0 {
		return ""
	}
	return "did you mean " + strings.Join(near[:min(3, len(near))], " or ") + "? "
}
