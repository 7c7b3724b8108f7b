package cli

import (
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"chaos/cmd/internal/campaign"
	"chaos/cmd/internal/report"
	"chaos/corpus"
	"chaos/model/plantext"
)

// summary is what a run comes to.
type summary struct {
	stats       campaign.Counts
	findings    []*campaign.Finding
	folder      string
	took        time.Duration
	stack       *openStack
	err         error
	interrupted bool
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
	case s.interrupted, s.stats.Plans == 0, s.stats.Execs == 0, 2*s.stats.Inconclusive > s.stats.Plans:
		return ExitInconclusive
	}
	return ExitOK
}

// claim is what the run may say of the stack.
func (s *summary) claim() string {
	judged := s.stats.Plans - s.stats.Inconclusive
	switch {
	case s.code() == ExitBroken && s.err == nil:
		return fmt.Sprintf("nothing: the journal dropped lines during %d of %d plans", s.stats.Lossy, s.stats.Plans)
	case s.code() == ExitBroken:
		return "nothing: the stack or the harness is broken"
	case len(s.findings) > 0:
		return findings(len(s.findings))
	case s.interrupted:
		return fmt.Sprintf("interrupted; nothing was found in %s plans", report.Thousands(judged))
	case s.code() == ExitInconclusive:
		return "nothing: too little was done or could be judged to call this a pass"
	}
	return fmt.Sprintf("no findings; a bug that shows in %.2g %% of plans or more would have been seen (95 %%)", 100*(1-math.Pow(0.05, 1/float64(max(1, judged)))))
}

func findings(n int) string {
	if n == 1 {
		return "1 finding"
	}
	return fmt.Sprintf("%d findings", n)
}

// summary prints the end of a run and returns its exit code as an error.
func (a *app) summary(f runFlags, s summary) error {
	switch {
	case f.json:
		if err := a.jsonSummary(f, s); err != nil {
			return err
		}
	case f.quiet:
		fmt.Fprintf(a.out, "chaos: %s (%s plans, seed %d)\n", s.claim(), report.Thousands(s.stats.Plans), f.seed)
	default:
		fmt.Fprintf(a.out, "\nchaos run · %s on %s · seed %d\n", report.Clock(s.took), s.stack.target.Describe(), f.seed)
		report.Counts(a.out, s.stats)
		for i, x := range s.findings {
			how := "not saved; its plan stands above"
			if x.Path != "" {
				how = f.replayCommand(x.Name())
			}
			fmt.Fprintf(a.out, "  %d  %s\n     %s\n", i+1, x.Violation.Signature, how)
		}
		fmt.Fprintf(a.out, "  result   %s\n  folder   %s (judge it again: %s judge %s)\n", s.claim(), s.folder, self(), s.folder)
	}
	if s.err != nil {
		fmt.Fprintln(a.err, "chaos: "+oneLine(s.err))
	}
	if c := s.code(); c != ExitOK {
		return exit(c)
	}
	return nil
}

// printCase prints a plan and what is known of it.
func printCase(w io.Writer, c *corpus.Case) {
	fmt.Fprintf(w, "  shrunk   %s\n", c.Shrunk)
	if c.Certificate.Runs > 0 {
		fmt.Fprintf(w, "  rate     %s\n", c.Certificate)
	}
	for _, h := range c.Extra {
		fmt.Fprintf(w, "  %-8s %s\n", h.Key, h.Value)
	}
	fmt.Fprintln(w)
	report.Plan(w, c.Plan, "      ")
	fmt.Fprintln(w)
}

type jsonFinding struct {
	Signature string `json:"signature"`
	Promise   string `json:"promise"`
	Message   string `json:"message"`
	Case      string `json:"case"`
	Path      string `json:"path"`
	Steps     int    `json:"steps"`
	From      int    `json:"steps_before"`
	Failures  int    `json:"failures"`
	Runs      int    `json:"runs"`
	Plan      string `json:"plan"`
	Replay    string `json:"replay"`
}

func (a *app) jsonSummary(f runFlags, s summary) error {
	list := []jsonFinding{}
	for _, x := range s.findings {
		list = append(list, jsonFinding{x.Violation.Signature.String(), x.Violation.Promise, x.Violation.Message, x.Name(), x.Path,
			len(x.Case.Plan.Steps), len(x.Plan.Steps), x.Case.Certificate.Failures, x.Case.Certificate.Runs, plantext.Print(x.Case.Plan), f.replayCommand(x.Name())})
	}
	return writeJSON(a.out, map[string]any{
		"stack": s.stack.target.Describe(), "notes": s.stack.notes, "seed": f.seed, "seconds": s.took.Seconds(), "counts": s.stats, "overlap": s.stats.Overlap(),
		"findings": list, "folder": s.folder, "result": s.claim(), "exit": s.code(), "interrupted": s.interrupted,
	})
}
