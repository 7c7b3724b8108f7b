package report

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"chaos/cmd/internal/campaign"
	"chaos/corpus"
	"chaos/model"
	"chaos/model/plantext"
)

// Files that a run leaves in its folder for people.
const (
	SummaryFile = "summary.json"
	PageFile    = "report.html"
)

// maxSummary bounds the summaries that are read back.
const maxSummary = 64 << 20

// Page is all that the page of a run is made of, and what summary.json holds.
type Page struct {
	Version  int               `json:"version"` // of this form, 1
	Began    time.Time         `json:"began"`
	Stack    string            `json:"stack"`
	Chaos    string            `json:"chaos"` // version of the program
	Seed     int64             `json:"seed"`
	Took     time.Duration     `json:"took"`
	Claim    string            `json:"claim"` // what the run may say of the stack
	Exit     int               `json:"exit"`  // exit code
	Error    string            `json:"error,omitempty"`
	JudgedBy string            `json:"judged_by,omitempty"` // the contract, if it is not the usual one
	Again    string            `json:"again"`               // what to type to judge the run again
	Counts   campaign.Counts   `json:"counts"`
	Coverage campaign.Coverage `json:"coverage"`
	Weak     []campaign.Reason `json:"weak,omitempty"`
	Unproven []string          `json:"unproven,omitempty"`
	Series   campaign.Series   `json:"series"`
	Findings []PageFinding     `json:"findings"`
}

// PageFinding is one finding of a run.
type PageFinding struct {
	Signature model.Signature `json:"signature"`
	Promise   string          `json:"promise"`
	Source    string          `json:"source"`
	What      string          `json:"what"`
	Allowed   string          `json:"allowed,omitempty"`
	Got       string          `json:"got,omitempty"`
	States    string          `json:"states,omitempty"`
	Journal   []string        `json:"journal,omitempty"`
	Plan      string          `json:"plan"`
	Steps     int             `json:"steps"`
	Shrunk    string          `json:"shrunk,omitempty"`
	Rate      string          `json:"rate,omitempty"`
	Case      string          `json:"case,omitempty"` // path
	History   string          `json:"history,omitempty"`
	Replay    string          `json:"replay,omitempty"` // what to type
	Needs     string          `json:"needs,omitempty"`  // what must be there for it
	Also      []string        `json:"also,omitempty"`   // other signatures that the same plan shows
	Timeline  *Timeline       `json:"timeline,omitempty"`
}

// NewPageFinding words v, which a run of p showed as h, if that is known.
func NewPageFinding(v model.Violation, p model.Plan, h *model.History) PageFinding {
	f := PageFinding{Signature: v.Signature, Promise: v.Promise, Source: v.Source, What: v.Message, Allowed: v.Allowed, Got: v.Got, States: v.States,
		Journal: v.Journal, Plan: plantext.Print(p), Steps: len(p.Steps)}
	if h != nil {
		f.Timeline = NewTimeline(h, v)
	}
	return f
}

// SavePage writes summary.json and report.html into dir.
func SavePage(dir string, p *Page) error {
	p.Version = 1
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, SummaryFile), append(data, '\n'), 0o644); err != nil {
		return err
	}
	return WritePage(dir, p)
}

// WritePage writes report.html into dir.
func WritePage(dir string, p *Page) error {
	page, err := p.HTML("")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, PageFile), page, 0o644)
}

// LoadPage reads the summary.json of dir. It returns fs.ErrNotExist if the run has left none.
func LoadPage(dir string) (*Page, error) {
	path := filepath.Join(dir, SummaryFile)
	data, err := corpus.ReadRegular(path, "summary", maxSummary)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	var p Page
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, fmt.Errorf("%s: %w; remove it, and the page is made of the histories", path, err)
	}
	if p.Version != 1 {
		return nil, fmt.Errorf("%s: version is %d, this program knows 1; remove it, and the page is made of the histories", path, p.Version)
	}
	return &p, nil
}

// Verdict is the outcome in a word: "pass", "found", "broken" or "inconclusive".
func (p *Page) Verdict() string {
	switch {
	case p.Exit == 3:
		return "broken"
	case len(p.Findings) > 0:
		return "found"
	case p.Exit == 0:
		return "pass"
	}
	return "inconclusive"
}

// CountLines is what the run did, as the terminal says it.
func (p *Page) CountLines() []string {
	var b strings.Builder
	Counts(&b, p.Counts)
	return strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
}

//go:embed page.html.tmpl
var pageText string

var pages = template.Must(template.New("page").Funcs(template.FuncMap{
	"clock": Clock, "count": Count, "ms": func(ns int64) string { return fmt.Sprintf("%.1f", float64(ns)/1e6) },
	"top": top, "add": func(a, b int) int { return a + b }, "day": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
}).Parse(pageText))

// HTML returns the page. home is where its link to a list of runs leads, "" = there is none.
func (p *Page) HTML(home string) ([]byte, error) {
	return render("run", struct {
		*Page
		Home string
	}{p, home})
}

// render runs one template. What could reorder or hide text on the page is spelled.
func render(name string, data any) ([]byte, error) {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, data); err != nil {
		return nil, err
	}
	return bytes.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
			return '\uFFFD'
		}
		return r
	}, b.Bytes()), nil
}

// seen is one thing with how often it was seen.
type seen struct {
	Name  string
	Times int
}

// mostSeen bounds each list of what was covered.
const mostSeen = 400

// top returns the most frequent of counts, in order.
func top(counts map[string]int) []seen {
	var out []seen
	for k, n := range counts {
		out = append(out, seen{k, n})
	}
	slices.SortFunc(out, func(a, b seen) int { return cmp.Or(b.Times-a.Times, strings.Compare(a.Name, b.Name)) })
	return out[:min(mostSeen, len(out))]
}
