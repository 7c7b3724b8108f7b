package cli

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"time"

	"chaos/cmd/internal/campaign"
	"chaos/cmd/internal/report"
	"chaos/corpus"
	"chaos/model/plantext"
)

// summary is what a run comes to.
type summary struct {
	stats       campaign.Counts
	coverage    campaign.Coverage
	findings    []*campaign.Finding
	folder      string
	took        time.Duration
	stack       *openStack
	err         error
	interrupted bool
	givenUp     int // plans that did not end when they were cut off
}

// code is the exit code of the run.
func (s *summary) code() int {
	var broken *campaign.BrokenError
	switch {
	case errors.As(s.err, &broken), s.err != nil && len(s.findings) == 0:
		return ExitBroken
	case len(s.findings) > 0:
		return ExitViolation
	case 20*s.stats.Lossy > s.stats.Plans:
		return ExitBroken // the judge relies on a whole journal
	case s.interrupted, len(campaign.Power(s.stats)) > 0:
		return ExitInconclusive
	}
	return ExitOK
}

// claim is what the run may say of the stack.
func (s *summary) claim() string {
	switch {
	case s.code() == ExitBroken && s.err == nil:
		return fmt.Sprintf("nothing: the journal dropped lines during %d of %d plans", s.stats.Lossy, s.stats.Plans)
	case s.code() == ExitBroken:
		return "nothing: the stack or the harness is broken"
	case len(s.findings) > 0:
		return report.Count(len(s.findings), "finding")
	case s.interrupted:
		return fmt.Sprintf("interrupted; nothing was found in %s", report.Count(s.stats.Plans-s.stats.Inconclusive, "plan"))
	case s.code() == ExitInconclusive && s.stats.Plans == 0 && s.givenUp > 0:
		return "nothing: the stack did not answer, and no plan came to an end"
	case s.code() == ExitInconclusive:
		return "nothing: too little was done or could be judged to call this a pass"
	}
	// Only plans that could show a race count.
	return fmt.Sprintf("no findings; a bug that shows in %.2g %% of plans or more would have been seen (95 %%)", 100*(1-math.Pow(0.05, 1/float64(max(1, s.stats.Signs.Full)))))
}

// weak lists why the run is no pass although it found nothing and came to its end.
func (s *summary) weak() []campaign.Reason {
	if s.interrupted || s.code() != ExitInconclusive {
		return nil
	}
	return campaign.Power(s.stats)
}

// summary prints the end of a run and returns its exit code as an error.
func (a *app) summary(f runFlags, s summary) error {
	switch {
	case f.json:
		if err := a.jsonSummary(f, s); err != nil {
			return err
		}
	case f.quiet:
		for _, r := range s.weak() {
			fmt.Fprintln(a.err, "chaos: "+r.Text)
		}
		fmt.Fprintf(a.out, "chaos: %s (%s, seed %d)\n", s.claim(), report.Count(s.stats.Plans, "plan"), f.seed)
	default:
		fmt.Fprintf(a.out, "\nchaos run · %s on %s · seed %d\n", report.Clock(s.took), s.stack.target.Describe(), f.seed)
		report.Counts(a.out, s.stats)
		if s.givenUp > 0 {
			fmt.Fprintf(a.out, "  gave up  %s, not ended %s after their time%s\n", report.Count(s.givenUp, "plan"), campaign.CleanupLimit, a.leftovers())
		}
		for i, x := range s.findings {
			how := "not saved; its plan stands above"
			if x.Path != "" {
				how = f.replayCommand(x.Name())
			}
			fmt.Fprintf(a.out, "  %d  %s\n     %s\n", i+1, x.Violation.Signature, how)
		}
		if needs := f.keyNeeded(); needs != "" && len(s.findings) > 0 {
			fmt.Fprintf(a.out, "     (%s)\n", needs)
		}
		if by := f.judgedBy(); by != "" && len(s.findings) > 0 {
			fmt.Fprintf(a.out, "  judged   %s\n", by)
		}
		report.Power(a.out, s.weak(), campaign.Unproven(s.stats))
		fmt.Fprintf(a.out, "  result   %s\n  folder   %s (judge it again: %s)\n", s.claim(), quote(s.folder), command("judge", s.folder))
		if path := filepath.Join(s.folder, report.PageFile); fileExists(path) {
			fmt.Fprintf(a.out, "  page     %s\n", quote(path))
		}
	}
	if err := a.writeReports(f, s); err != nil {
		fmt.Fprintln(a.err, "chaos: "+oneLine(err))
		if s.code() == ExitOK {
			return exit(ExitBroken) // whoever reads the report must not take its absence for a pass
		}
	}
	if s.err != nil {
		fmt.Fprintln(a.err, "chaos: "+oneLine(s.err))
	}
	if c := s.code(); c != ExitOK {
		return exit(c)
	}
	return nil
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// printCase prints a plan and what is known of it.
func printCase(w io.Writer, c *corpus.Case) {
	fmt.Fprintf(w, "  shrunk   %s\n", c.Shrunk)
	if c.Certificate.Runs > 0 {
		fmt.Fprintf(w, "  rate     %s\n", c.Certificate)
	}
	for _, h := range c.Extra {
		fmt.Fprintf(w, "  %-8s %s\n", h.Key, report.OneLine(h.Value))
	}
	fmt.Fprintln(w)
	report.Plan(w, c.Plan, "      ")
	fmt.Fprintln(w)
}

type jsonFinding struct {
	Signature string   `json:"signature"`
	Promise   string   `json:"promise"`
	Source    string   `json:"source"`
	Message   string   `json:"message"` // with the refs of Plan, if that has been performed
	Allowed   string   `json:"allowed,omitempty"`
	Got       string   `json:"got,omitempty"`
	States    string   `json:"states,omitempty"`
	Journal   []string `json:"journal,omitempty"`
	Case      string   `json:"case"`
	Path      string   `json:"path"`
	Steps     int      `json:"steps"`
	From      int      `json:"steps_before"`
	Failures  int      `json:"failures"`
	Runs      int      `json:"runs"`
	Plan      string   `json:"plan"`
	Replay    string   `json:"replay"`
	Needs     string   `json:"replay_needs,omitempty"`
}

func (a *app) jsonSummary(f runFlags, s summary) error {
	list := []jsonFinding{}
	for _, x := range s.findings {
		v := x.Violation
		if x.Small != nil {
			v = *x.Small
		}
		list = append(list, jsonFinding{
			Signature: v.Signature.String(), Promise: v.Promise, Source: v.Source, Message: v.Message, Allowed: v.Allowed, Got: v.Got, States: v.States, Journal: v.Journal,
			Case: x.Name(), Path: x.Path, Steps: len(x.Case.Plan.Steps), From: len(x.Plan.Steps),
			Failures: x.Case.Certificate.Failures, Runs: x.Case.Certificate.Runs, Plan: plantext.Print(x.Case.Plan),
			Replay: f.replayCommand(x.Name()), Needs: f.keyNeeded(),
		})
	}
	return writeJSON(a.out, map[string]any{
		"power": append([]campaign.Reason{}, campaign.Power(s.stats)...), "unproven": append([]string{}, campaign.Unproven(s.stats)...),
		"stack": s.stack.target.Describe(), "notes": s.stack.notes, "seed": f.seed, "seconds": s.took.Seconds(), "counts": s.stats, "overlap": s.stats.Overlap(), "coverage": s.coverage,
		"findings": list, "folder": s.folder, "result": s.claim(), "exit": s.code(), "interrupted": s.interrupted, "given_up_plans": s.givenUp,
	})
}
