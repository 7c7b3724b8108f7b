package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"chaos/model"
	"chaos/model/plantext"
)

// SignatureLegend says what the four parts of a signature are.
const SignatureLegend = "promise broken · by which action · in which state of the box · how"

// maxJournal is how many lines of the journal are printed with a violation; the case holds more.
const maxJournal = 4

// Violation prints what went wrong in a run of p, for the engineer who must mend it.
func Violation(w io.Writer, v model.Violation, p model.Plan) {
	Promise(w, v)
	Happened(w, "what", v, p)
}

// Promise prints what was promised, and where.
func Promise(w io.Writer, v model.Violation) {
	row(w, "promise", v.Promise)
	row(w, "source", v.Source)
}

// Happened prints what happened instead, in a run of p whose refs it names; label is for its first line.
func Happened(w io.Writer, label string, v model.Violation, p model.Plan) {
	row(w, label, v.Message)
	if v.Allowed != "" {
		row(w, "allowed", v.Allowed)
		row(w, "got", v.Got)
	}
	if v.States != "" {
		row(w, "could be", v.States)
	}
	// Where the plan has nothing but these steps, it says the same.
	if n := len(v.Steps); n > 0 && n < len(p.Steps) {
		label := "steps"
		for _, i := range v.Steps {
			if i >= 0 && i < len(p.Steps) {
				fmt.Fprintf(w, "  %-8s %d  %s\n", label, i+1, plantext.Line(p.Steps[i]))
				label = ""
			}
		}
	}
	label = "journal"
	lines := tellingLines(v.Journal)
	for _, line := range lines {
		row(w, label, line)
		label = ""
	}
	if n := len(v.Journal) - len(lines); n > 0 {
		row(w, label, fmt.Sprintf("… %s more", Count(n, "line")))
	}
}

// tellingLines returns at most maxJournal lines. What every box's log begins and ends with is left
// out first.
func tellingLines(all []string) []string {
	if len(all) <= maxJournal {
		return all
	}
	var telling []string
	for _, line := range all {
		if !strings.Contains(line, "CREATE_BOX") && !strings.Contains(line, "DESTROY_BOX") && !strings.Contains(line, "created box") {
			telling = append(telling, line)
		}
	}
	if len(telling) == 0 {
		telling = all
	}
	return telling[:min(maxJournal, len(telling))]
}

// row prints a label and a text.
func row(w io.Writer, label, text string) { fmt.Fprintf(w, "  %-8s %s\n", label, OneLine(text)) }

// Judged prints the verdict on one saved history: the first violation of each signature, or every one.
func Judged(w io.Writer, name string, h *model.History, v model.Verdict, differs, every bool) {
	fmt.Fprintf(w, "%s  %s  (%s, %s)\n", name, v.Status, h.Meta.Stack, Count(len(h.Plan.Steps), "step"))
	if differs {
		fmt.Fprintln(w, "  the verdict is not the one that was saved")
	}
	if v.Broken != "" {
		fmt.Fprintln(w, "  the harness is at fault: "+OneLine(v.Broken))
	}
	times := map[model.Signature]int{}
	for _, x := range v.Violations {
		times[x.Signature]++
	}
	for _, x := range v.Violations {
		n := times[x.Signature]
		if n == 0 {
			continue // told already
		}
		head := "  " + x.Signature.String()
		if !every {
			times[x.Signature] = 0
			if n > 1 {
				head += " (" + strconv.Itoa(n) + " times; the first of them, --all prints every one)"
			}
		}
		fmt.Fprintln(w, head)
		Violation(w, x, h.Plan)
	}
	for _, u := range v.Unjudged {
		fmt.Fprintln(w, "  not judged: "+OneLine(u))
	}
}
