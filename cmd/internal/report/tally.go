package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"chaos/model"
)

// Tally sorts what judging many histories came to, so that what shows in hundreds of them is told once.
type Tally struct {
	findings []*finding
	others   []*heap // what is no violation: broken, not judged, judged otherwise
}

// finding is what is known of one signature.
type finding struct {
	heap
	violation model.Violation // of the first history
	plan      model.Plan
	stack     string
	times     int
}

// heap is a heading with the names of histories.
type heap struct {
	head  string
	names []string
}

// Add takes in the verdict on the history called name.
func (t *Tally) Add(name string, h *model.History, v model.Verdict, differs bool) {
	if differs {
		t.other("judged otherwise than before", name)
	}
	if v.Broken != "" {
		t.other("the harness is at fault: "+OneLine(v.Broken), name)
	}
	for _, u := range v.Unjudged {
		t.other("not judged: "+OneLine(u), name)
	}
	for _, x := range v.Violations {
		f := t.finding(x.Signature)
		if f == nil {
			f = &finding{heap: heap{head: x.Signature.String()}, violation: x, plan: h.Plan, stack: h.Meta.Stack}
			t.findings = append(t.findings, f)
		}
		f.times++
		f.add(name)
	}
}

func (t *Tally) finding(s model.Signature) *finding {
	for _, f := range t.findings {
		if f.violation.Signature == s {
			return f
		}
	}
	return nil
}

func (t *Tally) other(head, name string) {
	i := slices.IndexFunc(t.others, func(h *heap) bool { return h.head == head })
	if i < 0 {
		i = len(t.others)
		t.others = append(t.others, &heap{head: head})
	}
	t.others[i].add(name)
}

// add notes name; one history is judged in one go, so repeats of a name stand together.
func (h *heap) add(name string) {
	if n := len(h.names); n == 0 || h.names[n-1] != name {
		h.names = append(h.names, name)
	}
}

// maxNames is how many histories are named for each heading.
const maxNames = 5

// list names histories, and how many there are besides.
func list(names []string) string {
	if len(names) <= maxNames {
		return strings.Join(names, " ")
	}
	return fmt.Sprintf("%s … %d more", strings.Join(names[:maxNames], " "), len(names)-maxNames)
}

// Print prints the findings, the most frequent first, and then the rest. more words the command that
// tells everything of one history.
func (t *Tally) Print(w io.Writer, more func(name string) string) {
	slices.SortStableFunc(t.findings, func(a, b *finding) int {
		return cmp.Or(len(b.names)-len(a.names), strings.Compare(a.head, b.head))
	})
	if len(t.findings) > 0 {
		fmt.Fprintf(w, "Each finding is: %s\n\n", SignatureLegend)
	}
	for _, f := range t.findings {
		fmt.Fprintln(w, f.head)
		row(w, "count", fmt.Sprintf("%s in %s: %s", Count(f.times, "time"), Count(len(f.names), "history", "histories"), list(f.names)))
		row(w, "example", fmt.Sprintf("%s (%s, %s)", f.names[0], f.stack, Count(len(f.plan.Steps), "step")))
		Violation(w, f.violation, f.plan)
		fmt.Fprintf(w, "  more     %s\n", more(f.names[0])) // a command is printed as it is typed
		fmt.Fprintln(w)
	}
	for _, h := range t.others {
		fmt.Fprintf(w, "%s\n  in %s: %s\n", h.head, Count(len(h.names), "history", "histories"), list(h.names))
	}
}
