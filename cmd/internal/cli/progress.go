package cli

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"chaos/cmd/internal/campaign"
	"chaos/cmd/internal/report"
	"chaos/corpus"
	"chaos/corpus/shrink"
)

// progress shows a run while it goes on: a line that redraws itself on a terminal, one every ten
// seconds elsewhere. It implements campaign.Events.
type progress struct {
	app   *app
	flags runFlags
	stats *campaign.Stats
	began time.Time

	mu       sync.Mutex
	drawn    int // runes of the line that stands on the terminal
	doing    string
	findings int
	lastLine time.Time
	quit     chan struct{}
	done     sync.WaitGroup
}

func newProgress(a *app, f runFlags, s *campaign.Stats, began time.Time) *progress {
	return &progress{app: a, flags: f, stats: s, began: began, quit: make(chan struct{}), lastLine: began}
}

func (p *progress) start(st *openStack) {
	if p.flags.quiet {
		return
	}
	fmt.Fprintf(p.app.err, "chaos: testing %s · seed %d\n", st.target.Describe(), p.flags.seed)
	for _, n := range st.notes {
		fmt.Fprintln(p.app.err, "  "+n)
	}
	p.done.Go(func() {
		t := time.NewTicker(500 * time.Millisecond)
		defer t.Stop()
		for {
			select {
			case <-p.quit:
				return
			case <-t.C:
				p.tick()
			}
		}
	})
}

func (p *progress) tick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.app.terminal && time.Since(p.lastLine) < 10*time.Second {
		return
	}
	p.lastLine = time.Now()
	p.draw(p.line())
	if !p.app.terminal {
		fmt.Fprintln(p.app.err)
		p.drawn = 0
	}
}

func (p *progress) line() string {
	c := p.stats.Snapshot()
	s := fmt.Sprintf("%s  plans %s · steps %s · execs %s · overlap %s · findings %d", report.Clock(time.Since(p.began)),
		report.Thousands(c.Plans), report.Thousands(c.Steps), report.Thousands(c.Execs), report.Percent(c.Overlap()), p.findings)
	if p.flags.duration > 0 {
		s += " · " + report.Clock(max(0, p.flags.duration-time.Since(p.began))) + " left"
	} else if p.flags.plans > 0 {
		s += fmt.Sprintf(" · %s plans left", report.Thousands(max(0, p.flags.plans-c.Plans)))
	}
	if p.doing != "" {
		s += " · " + p.doing
	}
	return s
}

// draw replaces the line that stands on the terminal.
func (p *progress) draw(s string) {
	n := len([]rune(s))
	if p.app.terminal {
		fmt.Fprintf(p.app.err, "\r%s%s", s, strings.Repeat(" ", max(0, p.drawn-n)))
	} else {
		fmt.Fprint(p.app.err, s)
	}
	p.drawn = n
}

// clear takes the line away, so that something else can be printed.
func (p *progress) clear() {
	if p.app.terminal && p.drawn > 0 {
		fmt.Fprintf(p.app.err, "\r%s\r", strings.Repeat(" ", p.drawn))
	}
	p.drawn = 0
}

// Found implements campaign.Events.
func (p *progress) Found(f campaign.Failure) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.findings++
	p.doing = "shrinking"
	if p.flags.json {
		return
	}
	p.clear()
	fmt.Fprintf(p.app.out, "\nFOUND %s\n  after    %s, in plan %d (%d steps)\n", f.Violation.Signature, report.Clock(f.After), f.Index, len(f.Plan.Steps))
	report.Violation(p.app.out, f.Violation)
}

// Better implements campaign.Events.
func (p *progress) Better(f campaign.Failure, b shrink.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doing = fmt.Sprintf("shrinking: %d steps to %d in %d runs", len(f.Plan.Steps), len(b.Plan.Steps), b.Executions)
}

// Saved implements campaign.Events.
func (p *progress) Saved(f *campaign.Finding) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doing = ""
	if p.flags.json {
		return
	}
	p.clear()
	printCase(p.app.out, f.Case)
	if f.Path != "" {
		how := string(f.Added)
		if f.Added == corpus.Duplicate {
			how = "known from before"
		}
		fmt.Fprintf(p.app.out, "  saved    %s (%s)\n  replay   %s\n", f.Path, how, p.flags.replayCommand(f.Name()))
	}
}

func (p *progress) stop() {
	close(p.quit)
	p.done.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
}

// replayCommand is what to type to see the case fail again.
func (f *runFlags) replayCommand(name string) string {
	s := self() + " replay " + name
	if f.corpus != defaultCorpus {
		s += " --corpus " + f.corpus
	}
	if f.bugs != "" {
		s += " --bug " + f.bugs
	}
	if f.stack != "embedded" {
		s += " --stack " + f.stack
	}
	return s
}
