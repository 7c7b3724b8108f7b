package bugs

import (
	"cmp"
	"slices"
	"strings"
)

// suggestion is "did you mean …? " with at most three names that are like name, the nearest first, or "".
func suggestion(name string) string {
	type candidate struct {
		id   string
		away int
	}
	var near []candidate
	for _, b := range All() {
		id := string(b.ID)
		away := distance(name, id)
		if len(name) >= 3 && (strings.Contains(id, name) || strings.Contains(name, id)) {
			away = 0
		}
		if away <= len(name)/3 {
			near = append(near, candidate{id, away})
		}
	}
	slices.SortStableFunc(near, func(a, b candidate) int { return cmp.Compare(a.away, b.away) })
	var names []string
	for _, c := range near[:min(3, len(near))] {
		names = append(names, c.id)
	}
	if len(names) == 0 {
		return ""
	}
	return "did you mean " + strings.Join(names, " or ") + "? "
}

// distance is how many characters must be put in, left out or exchanged to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := last
			if a[i] != b[j] {
				change++
			}
			last = row[j+1]
			row[j+1] = min(change, last+1, row[j]+1)
		}
	}
	return row[len(b)]
}
