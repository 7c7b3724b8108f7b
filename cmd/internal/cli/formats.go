package cli

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"chaos/cmd/internal/report"
	"chaos/corpus"
	"chaos/invariants"
	"chaos/stack/live"
)

// parseFormats reads the value of --report: names of formats, of which only those in known are written.
func parseFormats(list string, known []string) ([]string, error) {
	var out []string
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		switch {
		case name == "":
		case !slices.Contains(known, name):
			return nil, usagef("--report: there is no format %q; want some of %s", name, strings.Join(known, ", "))
		case !slices.Contains(out, name):
			out = append(out, name)
		}
	}
	return out, nil
}

func runFormats() []string { return slices.Sorted(maps.Keys(report.Formats)) }

// writeReports writes the reports of a run that --report asks for.
func (a *app) writeReports(f runFlags, s summary) error {
	dir := f.reportDir
	if dir == "" {
		dir = s.folder
	}
	var found []report.Found
	for _, x := range s.findings {
		replay := ""
		if x.Path != "" {
			replay = f.replayCommand(x.Name())
		}
		found = append(found, report.FoundOf(x, replay))
	}
	head := fmt.Sprintf("%s on %s, seed %d, %s", report.Clock(s.took), s.stack.target.Describe(), f.seed, report.Count(s.stats.Plans, "plan"))
	for _, name := range f.formats {
		var b bytes.Buffer
		var err error
		switch name {
		case "junit":
			why := ""
			if c := s.code(); c == ExitInconclusive || c == ExitBroken {
				why = s.claim()
			}
			var promises []string
			for _, x := range invariants.All() {
				promises = append(promises, x.Name())
			}
			err = report.JUnit(&b, "chaos run on "+s.stack.target.Describe(), s.took, report.JUnitPromises(promises, found, why))
		case "ndjson":
			err = report.NDJSON(&b, found)
		case "har":
			err = report.WriteHAR(&b, found, live.Shown(s.stack.target.Client().Endpoint().URL), version())
		case "markdown":
			err = report.Markdown(&b, head, s.claim(), found)
		case "github":
			err = a.github(head, s.claim(), found)
		}
		if file := report.Formats[name]; err == nil && file != "" {
			err = writeReport(dir, file, b.Bytes())
		}
		if err != nil {
			return fmt.Errorf("write report %s: %w", name, err)
		}
	}
	return nil
}

func writeReport(dir, name string, text []byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name), text, 0o644)
}

// github annotates the workflow, and appends the summary to its page where GitHub says which file that is.
func (a *app) github(head, claim string, found []report.Found) error {
	if err := report.GitHub(a.out, found); err != nil {
		return err
	}
	page := os.Getenv("GITHUB_STEP_SUMMARY")
	if page == "" {
		return nil
	}
	file, err := os.OpenFile(page, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	return report.Markdown(file, head, claim, found)
}

// replayJUnit writes a test case for each report.
func replayJUnit(w io.Writer, took time.Duration, list []replayed) error {
	var cases []report.JUnitCase
	for _, r := range list {
		c := report.JUnitCase{Class: "chaos.replay", Name: r.Case}
		what := report.JUnitDetail{Message: r.Report.String(), Type: string(r.Verdict), Text: "signature: " + r.Signature.String() + "\non: " + r.stack + "\nfound on: " + r.found}
		switch r.Verdict {
		case corpus.Fixed:
		case corpus.Failed, corpus.Flaky:
			c.Failures = []report.JUnitDetail{what}
		default:
			c.Errors = []report.JUnitDetail{what}
		}
		cases = append(cases, c)
	}
	return report.JUnit(w, "chaos replay", took, cases)
}

// sourceOf returns where the promise called name is written.
func sourceOf(name string) string {
	for _, x := range invariants.All() {
		if x.Name() == name {
			return x.Source()
		}
	}
	return ""
}
