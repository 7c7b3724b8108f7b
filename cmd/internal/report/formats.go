package report

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"chaos/cmd/internal/campaign"
	"chaos/model"
	"chaos/model/plantext"
)

// Formats are the machine-readable forms of a report, with the file each is written to; "" is stdout.
var Formats = map[string]string{"junit": "junit.xml", "ndjson": "findings.ndjson", "har": "findings.har", "markdown": "summary.md", "github": ""}

// Found is one finding, as the formats tell it.
type Found struct {
	Signature string   `json:"signature"`
	Invariant string   `json:"invariant"`
	Promise   string   `json:"promise"`
	Source    string   `json:"source"`
	Message   string   `json:"message"`
	Allowed   string   `json:"allowed,omitempty"`
	Got       string   `json:"got,omitempty"`
	Case      string   `json:"case,omitempty"` // path of the file
	Rate      string   `json:"rate,omitempty"`
	Plan      string   `json:"plan"`
	Replay    string   `json:"replay,omitempty"`
	Journal   []string `json:"journal,omitempty"`

	History *model.History `json:"-"`
}

// FoundOf takes what the formats tell from x. replay is the command that replays its case.
func FoundOf(x *campaign.Finding, replay string) Found {
	v := x.Violation
	if x.Small != nil {
		v = *x.Small
	}
	f := Found{Signature: v.Signature.String(), Invariant: v.Signature.Invariant, Promise: v.Promise, Source: v.Source, Message: v.Message, Allowed: v.Allowed, Got: v.Got,
		Case: x.Path, Replay: replay, Journal: v.Journal, Plan: plantext.Print(x.Plan), History: x.History}
	if x.Case != nil {
		f.Plan = plantext.Print(x.Case.Plan)
		if x.Case.Certificate.Runs > 0 {
			f.Rate = x.Case.Certificate.String()
		}
	}
	return f
}

// JUnitSuites is the root of a JUnit file.
type JUnitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []JUnitSuite `xml:"testsuite"`
}

// JUnitSuite is one run.
type JUnitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     string      `xml:"time,attr"` // seconds
	Cases    []JUnitCase `xml:"testcase"`
}

// JUnitCase is one promise, or one replayed case.
type JUnitCase struct {
	Class    string        `xml:"classname,attr"`
	Name     string        `xml:"name,attr"`
	Failures []JUnitDetail `xml:"failure"`
	Errors   []JUnitDetail `xml:"error"`
	Skipped  *JUnitDetail  `xml:"skipped"`
}

// JUnitDetail is what went wrong.
type JUnitDetail struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// JUnit writes cases as a JUnit file.
func JUnit(w io.Writer, name string, took time.Duration, cases []JUnitCase) error {
	s := JUnitSuite{Name: name, Tests: len(cases), Time: fmt.Sprintf("%.3f", took.Seconds()), Cases: cases}
	for _, c := range cases {
		s.Failures += min(1, len(c.Failures))
		s.Errors += min(1, len(c.Errors))
		if c.Skipped != nil {
			s.Skipped++
		}
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(JUnitSuites{Suites: []JUnitSuite{s}}); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// JUnitPromises returns a test case for each promise, with a failure for each finding that breaks it. why is
// why the run proves nothing, "" if it does: then what was not broken is skipped, not passed.
func JUnitPromises(promises []string, found []Found, why string) []JUnitCase {
	for _, f := range found {
		if !slices.Contains(promises, f.Invariant) {
			promises = append(promises, f.Invariant)
		}
	}
	var out []JUnitCase
	for _, p := range promises {
		c := JUnitCase{Class: "chaos", Name: p}
		for _, f := range found {
			if f.Invariant == p {
				c.Failures = append(c.Failures, JUnitDetail{Message: f.Signature, Type: f.Invariant, Text: f.text()})
			}
		}
		if len(c.Failures) == 0 && why != "" {
			c.Skipped = &JUnitDetail{Message: why}
		}
		out = append(out, c)
	}
	return out
}

// text tells the finding in a few lines.
func (f Found) text() string {
	lines := []string{"promised: " + f.Promise + " (" + f.Source + ")", "seen: " + f.Message}
	if f.Rate != "" {
		lines = append(lines, "rate: "+f.Rate)
	}
	lines = append(lines, "plan:", strings.TrimRight(f.Plan, "\n"))
	if f.Replay != "" {
		lines = append(lines, "replay: "+f.Replay)
	}
	return strings.Join(lines, "\n")
}

// NDJSON writes one JSON object a line for each finding.
func NDJSON(w io.Writer, found []Found) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, f := range found {
		if err := e.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

// Markdown writes a summary for people. head is what the run was, claim what it comes to.
func Markdown(w io.Writer, head, claim string, found []Found) error {
	var b strings.Builder
	fmt.Fprintf(&b, "## chaos: %s\n\n%s\n", claim, head)
	for i, f := range found {
		mark := "```"
		for strings.Contains(f.Plan+f.Message, mark) {
			mark += "`"
		}
		fmt.Fprintf(&b, "\n### %d. %s\n\n> %s\n\nSource: %s\n\n%s\nseen     %s\n", i+1, f.Signature, f.Promise, f.Source, mark, OneLine(f.Message))
		if f.Rate != "" {
			fmt.Fprintf(&b, "rate     %s\n", f.Rate)
		}
		fmt.Fprintf(&b, "\n%s\n", strings.TrimRight(f.Plan, "\n"))
		if f.Replay != "" {
			fmt.Fprintf(&b, "\n%s\n", f.Replay)
		}
		b.WriteString(mark + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// GitHub writes an annotation of a workflow for each finding.
func GitHub(w io.Writer, found []Found) error {
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	for _, f := range found {
		if _, err := fmt.Fprintf(w, "::error title=%s::%s\n", property.Replace("chaos: "+f.Signature), data.Replace(f.text())); err != nil {
			return err
		}
	}
	return nil
}
