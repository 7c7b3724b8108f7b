package report

import (
	"fmt"
	"io"
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

var proofColumns = []string{"bug", "reference", "promise broken", "found", "first failure, median (worst)", "steps, before → shrunk (best)", "runs to shrink", "repro rate (95 %)", "replay: fails with bug", "replay: passes clean", "falls short"}

func proofCells(r campaign.Row) []string {
	found := fmt.Sprintf("%d of %d", r.Found, r.Trials)
	short := strings.Join(r.Short(), "; ")
	if r.Found == 0 {
		return []string{r.Bug, r.Reference, "–", found, "–", "–", "–", "–", "–", "–", short}
	}
	invariant, _, _ := strings.Cut(r.Signature, " · ")
	low, high := shrink.Interval(r.Failures, r.Runs)
	rate := fmt.Sprintf("%.0f %% (%.0f–%.0f %%)", 100*float64(r.Failures)/float64(max(1, r.Runs)), 100*low, 100*high)
	return []string{r.Bug, r.Reference, invariant, found, fmt.Sprintf("%s (%s)", seconds(r.MedianAfter), seconds(r.WorstAfter)),
		fmt.Sprintf("%d → %d (%d)", r.Before, r.Steps, r.BestSteps), fmt.Sprint(r.Executions), rate,
		fmt.Sprintf("%d of %d", r.Buggy, r.Found), fmt.Sprintf("%d of %d", r.Clean, r.Found), short}
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

// ProofMarkdown prints the rows as a Markdown table.
func ProofMarkdown(w io.Writer, rows []campaign.Row) {
	fmt.Fprintf(w, "| %s |\n|%s\n", strings.Join(proofColumns, " | "), strings.Repeat("---|", len(proofColumns)))
	for _, r := range rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(proofCells(r), " | "))
	}
}
