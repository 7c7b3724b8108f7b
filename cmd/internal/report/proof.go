package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"chaos/cmd/internal/campaign"
	"chaos/corpus/shrink"
)

// TrialLine is one trial on one line.
func TrialLine(t campaign.Trial) string {
	s := fmt.Sprintf("%-26s seed %-3d ", t.Bug, t.Seed)
	switch {
	case t.Error != "":
		s += "error: " + t.Error
	case !t.Found:
		s += "not found in " + Count(t.Plans, "plan")
	default:
		s += fmt.Sprintf("found after %s (plan %d), %s to %d in %d runs, fails %d of %d, replay %s / clean %s · %s",
			seconds(t.After), t.Plans, Count(t.Before, "step"), t.Steps, t.Executions, t.Failures, t.Runs, t.Buggy, t.Clean, t.Signature)
	}
	return s
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

var proofColumns = []string{"bug", "reference", "promise broken", "found", "first failure, median (worst)", "steps, before → shrunk (best; known minimum)", "runs to shrink", "repro rate (95 %)", "replay: fails with bug", "replay: passes clean", "commit", "falls short"}

func proofCells(r campaign.Row) []string {
	found := fmt.Sprintf("%d of %d", r.Found, r.Trials)
	short := strings.Join(r.Short(), "; ")
	if r.Found == 0 {
		return []string{r.Bug, r.Reference, "–", found, "–", "–", "–", "–", "–", "–", r.Program, short}
	}
	invariant, _, _ := strings.Cut(r.Signature, " · ")
	low, high := shrink.Interval(r.Failures, r.Runs)
	rate := fmt.Sprintf("%.0f %% (%.0f–%.0f %%)", 100*float64(r.Failures)/float64(max(1, r.Runs)), 100*low, 100*high)
	return []string{r.Bug, r.Reference, invariant, found, fmt.Sprintf("%s (%s)", seconds(r.MedianAfter), seconds(r.WorstAfter)),
		fmt.Sprintf("%d → %d (%d; %s)", r.Before, r.Steps, r.BestSteps, known(r.Known)), fmt.Sprint(r.Executions), rate,
		fmt.Sprintf("%d of %d", r.Buggy, r.Found), fmt.Sprintf("%d of %d", r.Clean, r.Found), r.Program, short}
}

// ProofText prints the rows as a table for a terminal.
func ProofText(w io.Writer, rows []campaign.Row) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, strings.Join(proofColumns, "\t"))
	for _, r := range rows {
		fmt.Fprintln(tw, strings.Join(proofCells(r), "\t"))
	}
	_ = tw.Flush() // errors of w show at its other uses
}

// known words the known minimum.
func known(steps int) string {
	if steps == 0 {
		return "–"
	}
	return fmt.Sprint(steps)
}

// ProofMarkdown prints the rows as a Markdown table, together with old lines of such a table about
// other bugs, sorted by bug.
func ProofMarkdown(w io.Writer, rows []campaign.Row, old []string) {
	lines := map[string]string{}
	for _, line := range old {
		lines[bugOf(line)] = line
	}
	for _, r := range rows {
		line := fmt.Sprintf("| %s |", strings.Join(proofCells(r), " | "))
		lines[bugOf(line)] = line
	}
	fmt.Fprintf(w, "| %s |\n|%s\n", strings.Join(proofColumns, " | "), strings.Repeat("---|", len(proofColumns)))
	for _, bug := range slices.Sorted(maps.Keys(lines)) {
		fmt.Fprintln(w, lines[bug])
	}
}

// bugOf is the first cell of a line of the table.
func bugOf(line string) string {
	cell, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " |")
	return cell
}

// ProofTotal prints what the rows come to together.
func ProofTotal(w io.Writer, rows []campaign.Row) {
	var found, trials, least, known int
	for _, r := range rows {
		found, trials = found+r.Found, trials+r.Trials
		if r.Known > 0 {
			known++
			if r.Found > 0 && r.Steps <= r.Known {
				least++
			}
		}
	}
	fmt.Fprintf(w, "found %d of %d; the median case is as short as the known minimum for %d of %s\n", found, trials, least, Count(known, "bug"))
}
