package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"chaos/cmd/internal/campaign"
	"chaos/model"
)

// Page is everything the HTML report of a run shows.
type Page struct {
	Title    string               `json:"title"` // what ran, on what
	Began    time.Time            `json:"began"`
	Took     time.Duration        `json:"took"` // nanoseconds
	Seed     int64                `json:"seed"`
	Program  string               `json:"program"`
	Result   string               `json:"result"` // what the run may claim
	Exit     int                  `json:"exit"`
	Notes    []string             `json:"notes"` // how the stack was made
	Counts   campaign.Counts      `json:"counts"`
	Pace     []campaign.PacePoint `json:"pace"`
	Findings []PageFinding        `json:"findings"`
	Reasons  []string             `json:"reasons,omitempty"` // why it is no pass, or what it could not show
}

// PageFinding is one finding on a page.
type PageFinding struct {
	Signature string   `json:"signature"`
	Promise   string   `json:"promise"`
	Source    string   `json:"source"`
	Message   string   `json:"message"`
	Allowed   string   `json:"allowed,omitempty"`
	Got       string   `json:"got,omitempty"`
	States    string   `json:"states,omitempty"`
	Journal   []string `json:"journal,omitempty"`
	Case      string   `json:"case"`
	Path      string   `json:"path,omitempty"`
	Steps     int      `json:"steps"`
	From      int      `json:"steps_before"`
	Rate      string   `json:"rate"`
	Plan      string   `json:"plan"`
	Replay    string   `json:"replay"`
	Needs     string   `json:"replay_needs,omitempty"`

	History   *model.History   `json:"-"` // of the plan, nil when none is kept
	Violation *model.Violation `json:"-"` // in it
}

//go:embed page.html.tmpl
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"timeline": timeline, "chart": chart, "clock": Clock, "count": Count, "percent": func(x float64) string { return fmt.Sprintf("%.0f %%", 100*x) },
	"bytes": func(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }, "anchor": anchor, "verdict": verdictWord,
}).Parse(pageText))

// WritePage writes p as one HTML document that needs nothing else.
func WritePage(w io.Writer, p Page) error { return pageTemplate.Execute(w, p) }

func anchor(i int) string { return fmt.Sprintf("f%d", i+1) }

// verdictWord is the colour and the word of an exit code.
func verdictWord(exit int) string {
	switch exit {
	case 0:
		return "pass"
	case 1:
		return "violated"
	}
	return "inconclusive"
}

// chart draws one series of the pace as an SVG polyline, with a band where faults were.
func chart(points []campaign.PacePoint, what string) template.HTML {
	const width, height = 640.0, 90.0
	if len(points) == 0 {
		return ""
	}
	value := func(p campaign.PacePoint) float64 {
		return map[string]float64{"calls": p.Calls, "p50": p.P50, "p95": p.P95}[what]
	}
	most := 0.0
	for _, p := range points {
		most = max(most, value(p))
	}
	most = max(most, 0.001)
	step := width / float64(max(1, len(points)))
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="chart" viewBox="0 0 %.0f %.0f" preserveAspectRatio="none" role="img">`, width, height)
	var line strings.Builder
	for i, p := range points {
		if p.Faults > 0 {
			fmt.Fprintf(&b, `<rect class="band" x="%.1f" y="0" width="%.1f" height="%.0f"/>`, float64(i)*step, step, height)
		}
		fmt.Fprintf(&line, "%.1f,%.1f ", (float64(i)+0.5)*step, height-4-value(p)/most*(height-8))
	}
	fmt.Fprintf(&b, `<polyline class="line %s" points="%s"/></svg>`, what, strings.TrimSpace(line.String()))
	return template.HTML(b.String()) // numbers only
}
