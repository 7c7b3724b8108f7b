package report

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/cmd/internal/campaign"
	"chaos/corpus"
	"chaos/model"
)

// smallPage is the page of a run with the finding of story, and a message that is hostile.
func smallPage(t *testing.T) *Page {
	h, v := story()
	h.Meta.Faults = []model.Fault{{Name: "runner-frozen", From: 4 * ms, To: 5 * ms}}
	h.Meta.Messages = []model.Message{{What: "hold", At: 6 * ms, For: ms}}
	v.Signature, v.Allowed, v.Got = exec500, "409", "500"
	v.Message = `</pre><script src="http://evil.example/x.js">alert(1)</script>` + "\u202e"
	stats := &campaign.Stats{}
	for i := range 3 {
		h.Meta.Began = time.Unix(int64(1000+i), 0)
		stats.Add(h, model.Verdict{Status: model.Violated})
	}
	f := NewPageFinding(v, plan(t), h)
	f.Replay, f.Rate = "chaos replay x", "39 of 60 fresh runs"
	return &Page{Began: time.Unix(1000, 0), Stack: "embedded", Seed: 7, Claim: "1 finding", Exit: 1, Counts: stats.Snapshot(), Coverage: stats.Coverage(), Series: stats.Series(),
		Findings: []PageFinding{f}}
}

func TestPage_IsReadBackToTheSamePage(t *testing.T) {
	dir := t.TempDir()
	_, err := LoadPage(dir)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, SavePage(dir, smallPage(t)))
	first, err := os.ReadFile(filepath.Join(dir, PageFile))
	require.NoError(t, err)
	p, err := LoadPage(dir)
	require.NoError(t, err)
	require.NoError(t, WritePage(dir, p))
	second, err := os.ReadFile(filepath.Join(dir, PageFile))
	require.NoError(t, err)
	require.Equal(t, string(first), string(second))

	require.NoError(t, os.WriteFile(filepath.Join(dir, SummaryFile), []byte(`{"version":9}`), 0o644))
	_, err = LoadPage(dir)
	require.ErrorContains(t, err, "summary.json: version is 9")
}

func TestPage_TellsAFinding(t *testing.T) {
	html, err := smallPage(t).HTML("")
	require.NoError(t, err)
	for _, want := range []string{
		`<div class="verdict found"><b>1 finding</b>`, `1. typed-errors · exec · stopped · 500</h3>`, `<dt>allowed</dt><dd>409</dd><dt>got</dt><dd class="got">500</dd>`,
		`<dt>rate</dt><dd>39 of 60 fresh runs</dd>`, `<pre>chaos replay x</pre><button type="button" data-copy>`, `b: e1 = exec b1 gap=3ms`,
		`<g class="b  mark"><title>      6.0 ms  a: exec e1 → 500 after 2.0 ms</title>`, `Executing job job_id=J1 job_type=STOP_BOX`, `<title>fault runner-frozen, step 1</title>`,
		`hold, step 1, held for 1.0 ms`, `Answered calls per second`, `id="theme"`, `id="filter"`,
	} {
		require.Contains(t, string(html), want)
	}
	require.NotContains(t, string(html), "resource_id=ID2", "the journal of another box")
}

// TestPage_NeedsNothingFromElsewhere also holds output that wants to be more than text.
func TestPage_NeedsNothingFromElsewhere(t *testing.T) {
	html, err := smallPage(t).HTML("")
	require.NoError(t, err)
	require.NotContains(t, string(html), "<script src")
	require.Contains(t, string(html), "&lt;/pre&gt;&lt;script src=&#34;http://evil.example/x.js&#34;&gt;")
	require.NotContains(t, string(html), "\u202e", "text that runs backwards")
	require.NotRegexp(t, regexp.MustCompile(`(?i)<[^>]*(src|href|action|data|xmlns)\s*=\s*["']?(https?:)?//`), string(html))
	require.NotRegexp(t, regexp.MustCompile(`(?i)url\(|@import|fetch\(|<base|<iframe`), string(html))
	require.Contains(t, string(html), "default-src 'none'")
}

func TestTimeline_DrawsOnlyTheBoxOfTheFinding(t *testing.T) {
	h, v := story()
	line := NewTimeline(h, v)
	var got []string
	for _, b := range line.Bars {
		got = append(got, fmt.Sprint(b.Lane, " ", b.Label, " ", b.Mark))
	}
	require.Equal(t, []string{"a create b1 201 false", "a get b1 200 false", "b stop b1 200 false", "a exec e1 500 true"}, got)
	require.Equal(t, int64(ms), line.From)
	require.GreaterOrEqual(t, line.To, int64(8*ms))
	require.Len(t, line.Log, 1)
	require.Nil(t, NewTimeline(&model.History{}, v), "there is nothing to draw")
}

func TestTimeline_IsBoundedAndKeepsWhatShowsIt(t *testing.T) {
	h, v := story()
	for i := range 1000 {
		c := h.Calls[2]
		c.ID = 5 + i
		h.Calls = append(h.Calls, c)
	}
	line := NewTimeline(h, v)
	require.Len(t, line.Bars, mostBars)
	require.Equal(t, 1004-mostBars, line.Skipped)
	marked := 0
	for _, b := range line.Bars {
		marked += one(b.Mark)
	}
	require.Equal(t, 1, marked)
}

func TestDraw_NothingOverlaps(t *testing.T) {
	h, v := story()
	d := NewTimeline(h, v).Draw()
	for _, lane := range d.Lanes {
		for i, a := range lane.Bars {
			require.GreaterOrEqual(t, a.X, float64(laneLeft))
			require.LessOrEqual(t, a.X+a.W, float64(drawWidth))
			for _, b := range lane.Bars[i+1:] {
				require.False(t, a.Y == b.Y && a.X < b.X+b.W && b.X < a.X+a.W, "%s and %s", a.Label, b.Label)
			}
		}
	}
}

func TestCaseAndIndex(t *testing.T) {
	c := &corpus.Case{Name: "x", Signature: exec500, Promise: "<b>p</b>", Plan: plan(t)}
	html, err := CaseHTML(c, "chaos replay x")
	require.NoError(t, err)
	require.Contains(t, string(html), "<dd>&lt;b&gt;p&lt;/b&gt;</dd>")
	require.Contains(t, string(html), "a: b1 = create")
	html, err = (&Index{Out: "o", Runs: []IndexRun{{"r1", "embedded", "no findings"}}, Cases: []IndexCase{NewIndexCase(c)}}).HTML()
	require.NoError(t, err)
	require.Contains(t, string(html), `<a href="/run/r1">r1</a>`)
	require.Contains(t, string(html), `<a href="/case/x">typed-errors · exec · stopped · 500</a>`)
}
