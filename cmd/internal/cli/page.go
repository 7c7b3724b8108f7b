package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"chaos/actions"
	"chaos/cmd/internal/campaign"
	"chaos/cmd/internal/report"
	"chaos/corpus"
	"chaos/model/plantext"
)

// Files of a run folder.
const (
	summaryFile = "summary.json"
	pageFile    = "report.html"
)

func (a *app) reportCmd() *cobra.Command {
	return &cobra.Command{
		Use: "report RUN_DIR", Short: "Make the HTML page of a saved run anew", Args: argCount(1, 1, "one run folder"),
		Long: "report reads the summary and the histories of a run folder and writes " + pageFile + " into it: one page that needs nothing else.",
		RunE: func(cmd *cobra.Command, args []string) error { return a.report(cmd.Context(), args[0]) },
	}
}

func (a *app) report(_ context.Context, dir string) error {
	p, err := readPage(dir)
	if err != nil {
		return err
	}
	path, err := writePage(dir, p)
	if err != nil {
		return err
	}
	fmt.Fprintln(a.out, path)
	return nil
}

// maxSummary bounds the summary of a run, in bytes.
const maxSummary = 64 << 20

// readPage reads the summary of a run folder.
func readPage(dir string) (report.Page, error) {
	var p report.Page
	file := filepath.Join(dir, summaryFile)
	data, err := corpus.ReadRegular(file, "summary", maxSummary)
	if errors.Is(err, fs.ErrNotExist) {
		return p, usagef("%s: no %s in it; it is not the folder of a run that came to its end (chaos judge reads what it holds)", dir, summaryFile)
	}
	if err != nil {
		return p, usagef("%v", err)
	}
	if err := json.Unmarshal(data, &p); err != nil {
		return p, usagef("%s: not the summary of a run: %v", file, err)
	}
	return p, nil
}

// writePage completes p with the histories of dir and writes it there, through a file of its own so
// that nobody sees half a page.
func writePage(dir string, p report.Page) (string, error) {
	for i := range p.Findings {
		f := &p.Findings[i]
		f.History, f.Violation = campaign.FindHistory(dir, f.Plan, f.Signature, actions.Vocabulary{})
	}
	path := filepath.Join(dir, pageFile)
	tmp, err := os.CreateTemp(dir, pageFile+".*")
	if err != nil {
		return "", usagef("%v", err)
	}
	defer os.Remove(tmp.Name())
	err = cmp.Or(report.WritePage(tmp, p), tmp.Chmod(0o644))
	if err = errors.Join(err, tmp.Close()); err != nil {
		return "", fmt.Errorf("write %s: %w", path, err)
	}
	return path, os.Rename(tmp.Name(), path)
}

// page is the summary as the page shows it.
func (s *summary) page(f *runFlags, pace []campaign.PacePoint, began time.Time) report.Page {
	p := report.Page{Title: "chaos run on " + s.stack.target.Describe(), Began: began.UTC(), Took: s.took, Seed: f.seed, Program: version(), Result: s.claim(), Exit: s.code(),
		Notes: s.stack.notes, Counts: s.stats, Pace: pace, Findings: []report.PageFinding{}}
	for _, r := range s.weak() {
		p.Reasons = append(p.Reasons, r.Text)
	}
	p.Reasons = append(p.Reasons, campaign.Unproven(s.stats)...)
	for _, x := range s.findings {
		v := x.Violation
		if x.Small != nil {
			v = *x.Small
		}
		p.Findings = append(p.Findings, report.PageFinding{
			Signature: x.Violation.Signature.String(), Promise: v.Promise, Source: v.Source, Message: v.Message, Allowed: v.Allowed, Got: v.Got, States: v.States, Journal: v.Journal,
			Case: x.Name(), Path: x.Path, Steps: len(x.Case.Plan.Steps), From: len(x.Plan.Steps), Rate: x.Case.Certificate.String(), Plan: plantext.Print(x.Case.Plan),
			Replay: f.replayCommand(x.Name()), Needs: f.keyNeeded(),
		})
	}
	return p
}

// savePage writes the summary and the page of a run into its folder. A run whose page cannot be written
// is none the worse.
func (a *app) savePage(dir string, p report.Page) {
	data, err := json.MarshalIndent(p, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, summaryFile), append(data, '\n'), 0o644)
	}
	if err == nil {
		_, err = writePage(dir, p)
	}
	if err != nil {
		fmt.Fprintln(a.err, "chaos: no page: "+oneLine(err))
	}
}
