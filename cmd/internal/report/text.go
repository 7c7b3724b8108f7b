// Package report words what chaos has to say for people.
package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"chaos/cmd/internal/campaign"
	"chaos/model"
	"chaos/model/plantext"
)

// Thousands prints n with separators.
func Thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Count prints n with the word for that many: "1 plan", "1,200 plans". A plural that is not made by an
// s is given.
func Count(n int, one string, many ...string) string {
	if n == 1 {
		return "1 " + one
	}
	return Thousands(n) + " " + append(many, one+"s")[0]
}

// OneLine puts text from outside on one line, of at most 600 characters.
func OneLine(s string) string {
	const most = 600
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// Bytes prints n in a unit that fits.
func Bytes(n int64) string {
	switch {
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

// Percent prints a share.
func Percent(x float64) string { return fmt.Sprintf("%.0f %%", 100*x) }

// Clock prints a duration as m:ss.
func Clock(d time.Duration) string {
	s := int(d.Round(time.Second) / time.Second)
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// Plan prints a plan, indented.
func Plan(w io.Writer, p model.Plan, indent string) {
	for line := range strings.SplitSeq(strings.TrimRight(plantext.Print(p), "\n"), "\n") {
		fmt.Fprintln(w, indent+line)
	}
}

// Excerpt returns the calls that belong to a violation as lines, with the journal lines of the same
// boxes: what stands in a case below its plan.
func Excerpt(h *model.History, v model.Violation) []string {
	wanted := map[int]bool{}
	boxes := map[string]bool{}
	for _, id := range v.Calls {
		wanted[id] = true
	}
	for i := range h.Calls {
		if c := &h.Calls[i]; wanted[c.ID] && c.BoxID != "" {
			boxes[c.BoxID] = true
		}
	}
	type line struct {
		at   int64
		text string
	}
	var lines []line
	for i := range h.Calls {
		c := &h.Calls[i]
		if wanted[c.ID] || boxes[c.BoxID] && changes(c) {
			lines = append(lines, line{c.Invoke, CallLine(c)})
		}
	}
	for _, e := range h.Journal.Entries {
		if s, _, ok := model.Sight(e.Message); ok && boxes[s.BoxID] {
			lines = append(lines, line{e.At, fmt.Sprintf("%9.1f ms  journal   %s", float64(e.At)/1e6, OneLine(e.Message))})
		}
	}
	sort.SliceStable(lines, func(i, j int) bool { return lines[i].at < lines[j].at })
	const most = 40
	var out []string
	for i, l := range lines {
		if i == most {
			out = append(out, fmt.Sprintf("… %d more", len(lines)-most))
			break
		}
		out = append(out, l.text)
	}
	return append(out, OneLine(v.Message))
}

func changes(c *model.Call) bool {
	return c.Op == model.OpCreate || c.Op == model.OpStart || c.Op == model.OpStop || c.Op == model.OpRemove
}

// CallLine prints one call on one line.
func CallLine(c *model.Call) string {
	who := c.Client
	if who == "" {
		who = "-"
	}
	on := string(c.Exec)
	if on == "" {
		on = string(c.Box)
	}
	answer := fmt.Sprintf("%d", c.Status)
	if c.Status == 0 {
		answer = "no answer: " + c.Error
	}
	text := fmt.Sprintf("%s: %s %s → %s after %.1f ms", who, c.Op, on, answer, float64(c.Return-c.Invoke)/1e6)
	switch {
	case len(c.Boxes) == 1 && c.Op != model.OpList:
		text += " status=" + c.Boxes[0].Status
	case c.View != nil && c.View.Exit != nil:
		text += fmt.Sprintf(" %s exit=%d", c.View.Status, *c.View.Exit)
	case c.View != nil:
		text += " " + c.View.Status
	case c.Attach != nil:
		text += fmt.Sprintf(" stdout=%d B stderr=%d B", len(c.Attach.Bytes(model.Out)), len(c.Attach.Bytes(model.Err)))
		if f, ok := c.Attach.Exit(); ok {
			text += fmt.Sprintf(" exit=%d", f.Exit)
		} else {
			text += " no exit frame"
		}
	case c.Outcome == model.Rejected:
		text += " " + model.ParseError(c.Body).Message
	}
	return fmt.Sprintf("%9.1f ms  %s", float64(c.Invoke)/1e6, OneLine(text))
}

// Counts prints what a campaign did, over a few lines.
func Counts(w io.Writer, c campaign.Counts) {
	fmt.Fprintf(w, "  did      %s · %s · %s · %s · %s of output\n",
		Count(c.Plans, "plan"), Count(c.Steps, "step"), Count(c.Calls, "call"), Count(c.Execs, "exec"), Bytes(c.OutputBytes))
	fmt.Fprintf(w, "  overlap  %s of the calls on a box ran while another client's call on it did; about 40 %% is usual\n", Percent(c.Overlap()))
	if v := c.Covered; v.Outcomes > 0 {
		fmt.Fprintf(w, "  covered  %s of state, action and answer · %s overlapping on a box · %s in the log; last something new in plan %s\n",
			Count(v.Outcomes, "combination"), Count(v.Pairs, "pair of actions", "pairs of actions"), Count(v.Lines, "kind of line", "kinds of lines"), Thousands(v.LastNew))
	}
	switch missing, unawaited := c.Unknown-c.Unawaited, c.Unawaited; {
	case missing > 0 && unawaited > 0:
		fmt.Fprintf(w, "  unknown  %s got no answer; for %s more the plans did not wait (giveup=)\n", Count(missing, "call"), Thousands(unawaited))
	case missing > 0:
		fmt.Fprintf(w, "  unknown  %s got no answer\n", Count(missing, "call"))
	case unawaited > 0:
		fmt.Fprintf(w, "  unknown  %s whose answer the plans did not wait for (giveup=); all others were answered\n", Count(unawaited, "call"))
	}
	if c.Inconclusive > 0 {
		fmt.Fprintf(w, "  unjudged %s (%s):\n", Count(c.Inconclusive, "plan"), Percent(float64(c.Inconclusive)/float64(max(1, c.Plans))))
		whys := slices.SortedFunc(maps.Keys(c.Unjudged), func(a, b string) int {
			return cmp.Or(c.Unjudged[b]-c.Unjudged[a], strings.Compare(a, b))
		})
		for _, why := range whys[:min(3, len(whys))] {
			fmt.Fprintf(w, "             %s (%d)\n", OneLine(why), c.Unjudged[why])
		}
		if len(whys) > 3 {
			fmt.Fprintf(w, "             … %s more\n", Count(len(whys)-3, "reason"))
		}
	}
}

// Power prints why a run is no pass although it found nothing, and what it leaves open in any case.
func Power(w io.Writer, weak []campaign.Reason, unproven []string) {
	for _, r := range weak {
		fmt.Fprintf(w, "  weak     %s\n", r.Text)
	}
	for _, u := range unproven {
		fmt.Fprintf(w, "  unproven %s\n", u)
	}
}
