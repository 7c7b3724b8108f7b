package report

import (
	"chaos/corpus"
	"chaos/model/plantext"
)

// Index is the list of runs and cases.
type Index struct {
	Out, Corpus string // the folders
	Runs        []IndexRun
	Cases       []IndexCase
	Broken      []string // what could not be read
}

// IndexRun is one run in a list.
type IndexRun struct{ Name, Stack, Result string }

// IndexCase is one case in a list.
type IndexCase struct {
	Name, Signature, Rate string
	Steps                 int
}

// NewIndexCase words c.
func NewIndexCase(c *corpus.Case) IndexCase {
	rate := "rate not measured"
	if c.Certificate.Runs > 0 {
		rate = c.Certificate.String()
	}
	return IndexCase{Name: c.Name, Signature: c.Signature.String(), Rate: rate, Steps: len(c.Plan.Steps)}
}

// HTML returns the page.
func (i *Index) HTML() ([]byte, error) { return render("index", i) }

// CaseHTML returns the page of a case; replay is what to type to see it fail.
func CaseHTML(c *corpus.Case, replay string) ([]byte, error) {
	return render("case", struct {
		IndexCase
		Promise, Found, Build, Reference, Shrunk, Replay, Plan string
		Extra                                                  []corpus.Header
		Excerpt                                                []string
	}{NewIndexCase(c), c.Promise, c.Found, c.Build, c.Reference, c.Shrunk, replay, plantext.Print(c.Plan), c.Extra, c.Excerpt})
}
