// Package bugs lists the seeded bugs: real BoxLite bugs, re-created in the embedded stack with the
// mechanism and at the place of the original, off unless switched on by name. Each lives in one
// file that says what it is; the line that is wrong stands where the original line stood, behind
// Set.Has.
//
// To add one: copy a file, fill in every field, and put the mechanism into the api or the runner.
package bugs

import (
	"fmt"
	"sort"
	"strings"
)

// ID is the name a bug is switched on by.
type ID string

// Bug describes one seeded bug. Every field but Contract and Needs is required. The shortest plan known to show
// it is in the regression suite (corpus.Known).
type Bug struct {
	ID        ID
	Title     string // one line: what a caller sees
	Reference string // where BoxLite had it, e.g. "#563"
	Where     string // "api" or "runner"
	Mechanism string // what goes wrong inside, one or two sentences
	Promise   string // the promise to callers that it breaks, in plain words
	// Contract is the flags, "name=value,…", of the contract under which the stack must run for the bug
	// to show; "" = any.
	Contract string
	// Needs is what must be done to the stack for the bug to show: "schedule" for a schedule of messages,
	// or the name of a fault; "" = nothing but calls.
	Needs string
}

var all = map[ID]Bug{}

// register adds b. It panics on an incomplete or repeated entry: a mistake in the program.
func register(b Bug) ID {
	if b.ID == "" || b.Title == "" || b.Reference == "" || b.Mechanism == "" || b.Promise == "" || (b.Where != "api" && b.Where != "runner") {
		panic(fmt.Sprintf("bugs: incomplete entry %+v", b))
	}
	if _, dup := all[b.ID]; dup {
		panic("bugs: registered twice: " + string(b.ID))
	}
	all[b.ID] = b
	return b.ID
}

// All returns every seeded bug, sorted by ID.
func All() []Bug {
	out := make([]Bug, 0, len(all))
	for _, b := range all {
		out = append(out, b)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].ID < out[j].ID })
	return out
}

// Get returns the bug called id.
func Get(id ID) (Bug, bool) {
	b, ok := all[id]
	return b, ok
}

// Set is the bugs that are switched on. The zero value is the clean stack.
type Set map[ID]bool

// Has reports whether id is switched on.
func (s Set) Has(id ID) bool { return s[id] }

// String is the set as Parse reads it: sorted, comma-separated, empty for the clean stack.
func (s Set) String() string {
	ids := make([]string, 0, len(s))
	for id, on := range s {
		if on {
			ids = append(ids, string(id))
		}
	}
	sort.Strings(ids)
	return strings.Join(ids, ",")
}

// Parse reads a comma-separated list of bug names. An unknown name is an error that
// names those that are like it.
func Parse(list string) (Set, error) {
	set := Set{}
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		if name == "" {
			continue
		}
		if _, ok := all[ID(name)]; !ok {
			return nil, fmt.Errorf("no seeded bug is called %q; %schaos bugs lists them", name, suggestion(name))
		}
		set[ID(name)] = true
	}
	if len(set) == 0 && strings.TrimSpace(list) != "" {
		return nil, fmt.Errorf("no seeded bug is named in %q; chaos bugs lists them", list)
	}
	return set, nil
}
