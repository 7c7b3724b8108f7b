package model

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Rule says which statuses an operation may be answered with while the box is in any of the states
// of When. Variant "" is the ordinary request; other variants are requests with something wrong or
// special about them.
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
	Flags   Flags // every flag has a value
	Rules   []Rule
}

// profiles are the kinds of servers, and the flags that each has unless told otherwise.
var profiles = []struct {
	name  string
	flags Flags
}{
	{"cloud", Flags{FlagExecOnStopped: Reject, FlagAfterCreate: IsRunning, FlagStop: Async}},
	{"serve", Flags{FlagExecOnStopped: Autostart, FlagAfterCreate: Configured, FlagStop: Sync}},
	{"spec", Flags{FlagExecOnStopped: Autostart, FlagAfterCreate: Configured, FlagStop: Sync}},
}

// Profiles returns the names of the profiles.
func Profiles() []string {
	var out []string
	for _, p := range profiles {
		out = append(out, p.name)
	}
	return out
}

// Lookup returns the contract of a profile, with flags in place of the profile's own.
func Lookup(profile string, flags Flags) (Contract, bool) {
	for i, p := range profiles {
		if p.name == profile {
			f := p.flags.with(flags)
			return Contract{Profile: profile, Flags: f, Rules: rulesOf(i, f)}, true
		}
	}
	return Contract{}, false
}

// Contract returns the contract that a history is judged by.
func (m Meta) Contract() (Contract, error) {
	flags, err := ParseFlags(m.Flags)
	if err != nil {
		return Contract{}, err
	}
	c, ok := Lookup(m.Profile, flags)
	if !ok {
		return Contract{}, fmt.Errorf("no profile is called %q; want %s", m.Profile, strings.Join(Profiles(), ", "))
	}
	return c, nil
}

// Cloud is the contract of BoxLite's API with a runner behind it, where exec on a stopped box is refused.
func Cloud() Contract {
	c, _ := Lookup("cloud", nil)
	return c
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

// Shapes returns the forms that an error body may have.
func (c Contract) Shapes() []ErrorShape {
	if c.Profile == "cloud" {
		return []ErrorShape{ShapeEnvelope, ShapeFlat, ShapeString, ShapeStatus}
	}
	return []ErrorShape{ShapeEnvelope}
}

// Lifecycle returns how boxes change under the contract.
func (c Contract) Lifecycle() Lifecycle {
	return Lifecycle{
		Lazy:      c.Flags[FlagAfterCreate] == Configured,
		Autostart: c.Flags[FlagExecOnStopped] == Autostart,
		SyncStop:  c.Flags[FlagStop] == Sync,
		rules:     c.Rules,
	}
}

// Table is the table of allowed answers as it is written, for people.
//
//go:embed contract.txt
var Table string

// tableRow is one line of the table.
type tableRow struct {
	op, variant, flag, value string
	when                     State
	allow                    [][]int // by profile; nil where the row does not hold
	source                   string
}

var table = mustParseTable(Table)

// rulesOf returns the rows that hold for profile number p under flags.
func rulesOf(p int, flags Flags) []Rule {
	var out []Rule
	for _, r := range table {
		if r.allow[p] != nil && (r.flag == "" || flags[r.flag] == r.value) {
			out = append(out, Rule{r.op, r.variant, r.when, r.allow[p], r.source})
		}
	}
	return out
}

func mustParseTable(text string) []tableRow {
	rows, err := parseTable(text)
	if err != nil {
		panic("model: contract.txt: " + err.Error()) // the table is part of the program
	}
	return rows
}

var columnGap = regexp.MustCompile(`\s{2,}`)

func parseTable(text string) ([]tableRow, error) {
	var out []tableRow
	for n, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		row, err := parseRow(columnGap.Split(line, 4+len(profiles)))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
		out = append(out, row)
	}
	return out, nil
}

func parseRow(cells []string) (tableRow, error) {
	if len(cells) != 4+len(profiles) {
		return tableRow{}, fmt.Errorf("%d columns, want %d apart by two spaces or more", len(cells), 4+len(profiles))
	}
	r := tableRow{source: cells[len(cells)-1]}
	r.op, r.variant, _ = strings.Cut(cells[0], ":")
	var ok bool
	if r.when, ok = ParseState(cells[1]); !ok {
		return r, fmt.Errorf("states %q", cells[1])
	}
	if cells[2] != "-" {
		if _, err := ParseFlags(cells[2]); err != nil {
			return r, err
		}
		r.flag, r.value, _ = strings.Cut(cells[2], "=")
	}
	for _, cell := range cells[3 : 3+len(profiles)] {
		list, err := parseStatuses(cell)
		if err != nil {
			return r, err
		}
		r.allow = append(r.allow, list)
	}
	return r, nil
}

func parseStatuses(cell string) ([]int, error) {
	if cell == "-" {
		return nil, nil
	}
	var out []int
	for s := range strings.SplitSeq(cell, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 100 || n > 599 {
			return nil, fmt.Errorf("status %q", s)
		}
		out = append(out, n)
	}
	return out, nil
}
