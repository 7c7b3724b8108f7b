package campaign

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"chaos/model"
)

// Coverage is what a campaign has seen happen, in how many plans each. What is never seen is not
// tested, however many plans ran.
type Coverage struct {
	Outcomes map[string]int `json:"outcomes"`          // "state · action · answer"
	Pairs    map[string]int `json:"overlapping_pairs"` // "action × action": of two clients, overlapping on one box
	Lines    map[string]int `json:"log_lines"`         // kinds of lines in the runner's log
	LastNew  int            `json:"last_new"`          // plans judged when something new was last seen
	plans    int
}

// Covered is a coverage in numbers.
type Covered struct {
	Outcomes int `json:"outcomes"` // different ones of state × action × answer
	Pairs    int `json:"overlapping_pairs"`
	Lines    int `json:"log_lines"` // different kinds
	LastNew  int `json:"last_new"`  // plans judged when something new was last seen
}

// add takes in h.
func (c *Coverage) add(h *model.History) {
	if c.Outcomes == nil {
		c.Outcomes, c.Pairs, c.Lines = map[string]int{}, map[string]int{}, map[string]int{}
	}
	c.plans++
	fresh := count(c.Outcomes, outcomes(h))
	fresh = count(c.Pairs, pairs(h)) || fresh
	fresh = count(c.Lines, logLines(h)) || fresh
	if fresh {
		c.LastNew = c.plans
	}
}

// count adds one for each of seen, and reports whether one of them is new.
func count(to map[string]int, seen map[string]bool) bool {
	fresh := false
	for x := range seen {
		fresh = fresh || to[x] == 0
		to[x]++
	}
	return fresh
}

// covered sums up.
func (c *Coverage) covered() Covered {
	return Covered{Outcomes: len(c.Outcomes), Pairs: len(c.Pairs), Lines: len(c.Lines), LastNew: c.LastNew}
}

// clone returns a copy that shares nothing with c.
func (c *Coverage) clone() Coverage {
	out := *c
	out.Outcomes, out.Pairs, out.Lines = maps.Clone(c.Outcomes), maps.Clone(c.Pairs), maps.Clone(c.Lines)
	return out
}

// outcomes are the answers of h, each with what was done and what its box could have been in.
func outcomes(h *model.History) map[string]bool {
	out := map[string]bool{}
	contract, err := h.Meta.Contract()
	if err != nil {
		return out
	}
	index, decided, life := model.NewIndex(h), model.Decide(h), contract.Lifecycle()
	lines := map[model.Ref]*model.Timeline{}
	for i := range h.Calls {
		c := &h.Calls[i]
		state := "-"
		if c.Box != "" {
			if lines[c.Box] == nil {
				lines[c.Box] = index.Timeline(c.Box, life, decided)
			}
			state = "changing"
			if s := lines[c.Box].During(c); s.Single() {
				state = s.String()
			}
		}
		out[state+" · "+answer(c)] = true
	}
	return out
}

// answer is what a call was and how it ended.
func answer(c *model.Call) string {
	op := c.Op
	if c.Variant != "" {
		op += ":" + c.Variant
	}
	switch {
	case c.Status == 0 && c.GaveUp:
		return op + " · gave up"
	case c.Status == 0:
		return op + " · no answer"
	}
	return fmt.Sprintf("%s · %d", op, c.Status)
}

// pairs are the operations of two clients that overlapped on one box.
func pairs(h *model.History) map[string]bool {
	out := map[string]bool{}
	overlaps(h, func(c, d *model.Call) {
		out[min(c.Op, d.Op)+" × "+max(c.Op, d.Op)] = true
	})
	return out
}

// overlaps tells of each two calls of different clients that overlapped on one box.
func overlaps(h *model.History, tell func(c, d *model.Call)) {
	byBox := map[model.Ref][]*model.Call{}
	for i := range h.Calls {
		if c := &h.Calls[i]; c.Box != "" && c.Step >= 0 {
			byBox[c.Box] = append(byBox[c.Box], c)
		}
	}
	for _, calls := range byBox {
		slices.SortFunc(calls, func(a, b *model.Call) int { return cmp.Compare(a.Invoke, b.Invoke) })
		for i, c := range calls {
			for _, d := range calls[i+1:] {
				if d.Invoke > c.Return {
					break
				}
				if c.Client != d.Client {
					tell(c, d)
				}
			}
		}
	}
}

// logLines are the kinds of lines in the runner's log: the text and the names of the fields, with the
// values that are words of the program.
func logLines(h *model.History) map[string]bool {
	out := map[string]bool{}
	for _, e := range h.Journal.Entries {
		l := model.ParseLogLine(e.Message)
		kind := l.Text
		for _, k := range slices.Sorted(maps.Keys(l.Fields)) {
			kind += " " + k
			if k == "job_type" || k == "status" {
				kind += "=" + l.Fields[k]
			}
		}
		out[strings.TrimSpace(kind)] = true
	}
	return out
}
