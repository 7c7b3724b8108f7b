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
	"chaos/model"
)

// progress tells of a run while it goes on: findings on stdout, how things stand on the status line.
// It implements campaign.Events.
type progress struct {
	app    *app
	flags  runFlags
	stats  *campaign.Stats
	began  time.Time
	rig    *campaign.Rig
	ended  func() bool      // the run has been interrupted
	folder *campaign.Folder // nil = histories are not kept
	stop   func()

	mu       sync.Mutex
	doing    string
	findings int
}

func newProgress(a *app, f runFlags, s *campaign.Stats, began time.Time) *progress {
	return &progress{app: a, flags: f, stats: s, began: began, stop: func() {}, ended: func() bool { return false }}
}

func (p *progress) start(st *openStack) {
	p.rig, p.ended = st.rig, func() bool { return st.ctx.Err() != nil }
	if p.flags.quiet {
		return
	}
	fmt.Fprintf(p.app.err, "chaos: testing %s · seed %d\n", st.target.Describe(), p.flags.seed)
	for _, n := range st.notes {
		fmt.Fprintln(p.app.err, "  "+n)
	}
	p.stop = p.app.line.show(p.line)
}

// silenceWorthTelling is how long no plan may end before that is said: longer than any plan takes on
// a stack that answers.
const silenceWorthTelling = 15 * time.Second

func (p *progress) line() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	// The terminal may be narrow: what matters comes first.
	parts := []string{report.Clock(time.Since(p.began))}
	parts = append(parts, p.left()...)
	if p.doing != "" {
		parts = append(parts, p.doing)
	}
	c := p.stats.Snapshot()
	parts = append(parts, report.Count(p.findings, "finding"), report.Count(c.Plans, "plan"), report.Count(c.Steps, "step"), report.Count(c.Execs, "exec"),
		"overlap "+report.Percent(c.Overlap()))
	return strings.Join(parts, " · ")
}

// left says how much is still to come, and what holds it up.
func (p *progress) left() []string {
	left := p.flags.duration - time.Since(p.began)
	var out []string
	over := true
	switch {
	case p.ended():
		out = append(out, "stopping")
	case p.flags.duration > 0 && left <= 0:
		out = append(out, "time is up")
	case p.flags.duration > 0:
		over = false
		out = append(out, report.Clock(left)+" left")
	case p.flags.plans == 0:
		over = false
		out = append(out, "until it is stopped")
	default:
		over = false
		out = append(out, report.Count(max(0, p.flags.plans-p.stats.Snapshot().Plans), "plan")+" left")
	}
	if p.rig == nil {
		return out
	}
	switch quiet, plans := p.rig.Silence(); {
	case plans == 0:
	case over && p.doing == "":
		out = append(out, fmt.Sprintf("cleaning up after %s, %s at most", report.Count(plans, "plan"), campaign.CleanupLimit))
	case quiet > silenceWorthTelling:
		out = append(out, fmt.Sprintf("no plan has ended for %s: does the stack hang?", report.Clock(quiet)))
	}
	return out
}

// Found implements campaign.Events.
func (p *progress) Found(f campaign.Failure) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.findings++
	if !p.flags.noShrink {
		p.doing = "shrinking"
	}
	if p.flags.json {
		return
	}
	fmt.Fprintf(p.app.out, "\nFOUND %s\n", f.Violation.Signature)
	if p.findings == 1 {
		fmt.Fprintf(p.app.out, "  (that is %s)\n", report.SignatureLegend)
	}
	fmt.Fprintf(p.app.out, "  after    %s, in plan %d (%s)%s\n", report.Clock(f.After), f.Index+1, report.Count(len(f.Plan.Steps), "step"), p.kept(f.History))
	report.Promise(p.app.out, f.Violation)
	// What is printed below is often another plan, whose refs mean other boxes.
	label := "seen"
	if p.flags.noShrink {
		label = "what"
	}
	report.Happened(p.app.out, label, f.Violation, f.Plan)
}

// kept says which history of the run folder h is. Histories are numbered as plans end, plans as they
// are drawn.
func (p *progress) kept(h *model.History) string {
	if p.folder == nil || p.folder.Name(h) == "" {
		return ""
	}
	return ", history " + p.folder.Name(h)
}

// Better implements campaign.Events.
func (p *progress) Better(f campaign.Failure, b shrink.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doing = shrinking(len(f.Plan.Steps), b)
}

// shrinking words how far shrinking is.
func shrinking(before int, b shrink.Progress) string {
	return fmt.Sprintf("shrinking: %s to %d in %s", report.Count(before, "step"), len(b.Plan.Steps), report.Count(b.Executions, "run"))
}

// Saved implements campaign.Events.
func (p *progress) Saved(f *campaign.Finding) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doing = ""
	if p.flags.json {
		return
	}
	printCase(p.app.out, f.Case)
	if f.Small != nil {
		v := *f.Small
		v.Steps = nil // the plan stands above
		report.Happened(p.app.out, "what", v, f.Case.Plan)
	}
	if f.Path == "" {
		return
	}
	how := string(f.Added)
	if f.Added == corpus.Duplicate {
		how = "known from before"
	}
	fmt.Fprintf(p.app.out, "  saved    %s (%s)\n", quote(f.Path), how)
	p.app.printCommand("replay", p.flags.replayCommand(f.Name()), p.flags.keyNeeded())
}

// printCommand prints a command below a label, and what it needs, if anything.
func (a *app) printCommand(label, command, needs string) {
	fmt.Fprintf(a.out, "  %-8s %s\n", label, command)
	if needs != "" {
		fmt.Fprintf(a.out, "           (%s)\n", needs)
	}
}
