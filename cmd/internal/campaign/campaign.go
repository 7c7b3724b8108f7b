package campaign

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"chaos/actions"
	"chaos/corpus"
	"chaos/corpus/shrink"
	"chaos/model"
	"chaos/model/gen"
	"chaos/model/plantext"
)

// Config says how long and how a campaign searches.
type Config struct {
	Seed     int64
	Duration time.Duration // 0 = no limit
	Plans    int           // 0 = no limit
	Workers  int           // plans in flight at once
	Clients  int           // clients in each plan, 0 = 2 to 6
	MaxSteps int           // steps in each plan, 0 = up to 60
	FailFast bool          // end after the first finding
	Schedule bool          // draw schedules of messages; the stack must have a scheduler
	Faults   []string      // names of faults to draw; the stack must have a control
	Shrink   ShrinkConfig
}

// ShrinkConfig bounds the shrinking of one finding.
type ShrinkConfig struct {
	Budget   time.Duration // 0 = no limit
	Parallel int
	Off      bool
}

// Finding is one signature that a campaign found, with what became of it.
type Finding struct {
	Failure
	Shrunk shrink.Result
	Took   time.Duration // of shrinking
	Added  corpus.Added
	Path   string // of the case, "" if there is no corpus
	Case   *corpus.Case
	// Small is the violation as the plan of Case shows it, with that plan's refs; nil if that plan has
	// not been performed since it was chosen.
	Small *model.Violation
	// SmallHistory is the history that Small is of.
	SmallHistory *model.History
}

// Events hears what happens in a campaign. Its methods are not called concurrently.
type Events interface {
	Found(f Failure)
	Better(f Failure, p shrink.Progress)
	Saved(f *Finding)
}

// Campaign searches, shrinks and saves.
type Campaign struct {
	Rig    *Rig
	Config Config
	Store  *corpus.Store // nil = nothing is saved
	Events Events
	Stats  *Stats
	Build  string   // what is tested, for the cases
	Bugs   []string // seeded bugs that are switched on, for the cases
	// Excerpt words a failing history for the cases.
	Excerpt func(*model.History, model.Violation) []string
}

// Run searches until the time or the plans are used up, shrinking each finding when it is made.
// When ctx ends, it returns what it has; the error is for a broken harness or stack only.
func (c *Campaign) Run(ctx context.Context) ([]*Finding, error) {
	search := c.search()
	known := map[model.Signature]bool{}
	search.Known = func(s model.Signature) bool { return known[s] }
	deadline := time.Time{}
	until := ctx
	if c.Config.Duration > 0 {
		deadline = time.Now().Add(c.Config.Duration)
		var cancel context.CancelFunc
		until, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	var out []*Finding
	for {
		failures, err := search.Until(until, c.Config.Plans)
		for _, f := range failures {
			// A finding shrunk just now may have explained this one.
			if known[f.Violation.Signature] {
				continue
			}
			known[f.Violation.Signature] = true
			finding, serr := c.handle(ctx, f, known)
			out = append(out, finding)
			if serr != nil {
				return out, serr
			}
			if c.Config.FailFast {
				return out, nil
			}
		}
		if err != nil || until.Err() != nil || c.Config.Plans > 0 && search.Next >= c.Config.Plans {
			return out, err
		}
	}
}

func (c *Campaign) search() *Search {
	return &Search{Rig: c.Rig, Seed: c.Config.Seed, Workers: c.Config.Workers,
		Plans:  gen.Plans(actions.Drawables(), gen.Config{Clients: c.Config.Clients, MaxSteps: c.Config.MaxSteps, Schedule: c.Config.Schedule, Faults: faults(c.Config.Faults)}),
		Judged: c.Stats.Add}
}

// faults returns the faults with these names.
func faults(names []string) []model.Drawable {
	var out []model.Drawable
	for _, n := range names {
		if a, ok := actions.Get(n); ok && a.Spec().Fault {
			out = append(out, a)
		}
	}
	return out
}

// handle shrinks and saves one failure.
func (c *Campaign) handle(ctx context.Context, f Failure, known map[model.Signature]bool) (*Finding, error) {
	c.Events.Found(f)
	if old, ok := c.saved(f); ok {
		finding := &Finding{Failure: f, Added: corpus.Duplicate, Path: filepath.Join(c.Store.Dir(), old.Name+corpus.Ext), Case: old}
		c.Events.Saved(finding)
		return finding, nil
	}
	// Saved at once: a crash while shrinking loses nothing.
	finding := &Finding{Failure: f}
	if err := c.save(finding, c.newCase(f, f.Plan, shrink.Certificate{}, "not shrunk")); err != nil {
		c.Events.Saved(finding) // what cannot be written must at least be shown
		return finding, err
	}
	if c.Config.Shrink.Off {
		c.Events.Saved(finding)
		return finding, nil
	}
	began := time.Now()
	var saveErr error
	bounded, cancel := c.bounded(ctx)
	defer cancel()
	res, err := shrink.Shrink(bounded, f.Plan, c.Rig.Predicate(f.Violation.Signature), shrink.Options{
		Parallel: max(1, c.Config.Shrink.Parallel), Budget: c.Config.Shrink.Budget, Vocab: actions.Vocabulary{}, Focus: boxesOf(f),
		OnBetter: func(p shrink.Progress) {
			c.Events.Better(f, p)
			what := fmt.Sprintf("%s to %d so far", steps(len(f.Plan.Steps)), len(p.Plan.Steps))
			if err := c.save(finding, c.newCase(f, p.Plan, p.Certificate, what)); err != nil && saveErr == nil {
				saveErr = err
			}
		},
	})
	finding.Shrunk, finding.Took = res, time.Since(began)
	if err = errors.Join(err, saveErr); err != nil {
		c.Events.Saved(finding)
		return finding, err
	}
	err = c.finish(ctx, finding, known)
	c.Events.Saved(finding)
	return finding, err
}

// bounded returns a context for shrinking one finding. The shrinker keeps its budget by starting
// nothing after it; the context ends what hangs then.
func (c *Campaign) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.Config.Shrink.Budget <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, c.Config.Shrink.Budget+CleanupLimit)
}

// saved returns the case that an earlier run has shrunk and certified for the same finding: doing it
// again would only cost search time.
func (c *Campaign) saved(f Failure) (*corpus.Case, bool) {
	if c.Store == nil {
		return nil, false
	}
	old, ok := c.Store.Find((&corpus.Case{Signature: f.Violation.Signature, Bugs: c.Bugs, Profile: c.Rig.contract.Profile, Flags: c.Rig.contract.Changed().String()}).Finding())
	return old, ok && old.Certificate.Fresh && old.Certificate.Failures > 0
}

// finish saves the end of shrinking, and learns which other signatures the minimal plan shows.
func (c *Campaign) finish(ctx context.Context, finding *Finding, known map[model.Signature]bool) error {
	f, res := finding.Failure, finding.Shrunk
	end, other := res.Shortest, ""
	if !res.Flaky && !samePlan(res.Reliable.Plan, end.Plan) {
		// A repro that fails half the time is worth more than one a step shorter that hardly ever does.
		end = res.Reliable
		other = fmt.Sprintf("%s, %s: %s", steps(len(res.Shortest.Plan.Steps)), res.Shortest.Certificate, strings.ReplaceAll(strings.TrimSpace(plantext.Print(res.Shortest.Plan)), "\n", "; "))
	}
	what := fmt.Sprintf("%s to %d in %d runs", steps(len(f.Plan.Steps)), len(end.Plan.Steps), res.Executions)
	if res.Flaky {
		what = fmt.Sprintf("not shrunk: it failed in %d of %d runs, which cannot be told from noise", end.Certificate.Failures, end.Certificate.Runs)
	} else if res.Interrupted {
		what += ", " + res.Stopped
	}
	cs := c.newCase(f, end.Plan, end.Certificate, what)
	var small *model.Violation
	var shown *model.History
	// What a plan this small shows besides is the same bug by another name.
	if h, v, err := c.again(ctx, end.Plan, f.Violation.Signature); err == nil && h != nil {
		for _, x := range v.Violations {
			if x.Signature == f.Violation.Signature {
				cs.Excerpt = c.Excerpt(h, x)
				small, shown = &x, h
			} else if !known[x.Signature] && !res.Flaky {
				known[x.Signature] = true
				cs.Extra = append(cs.Extra, corpus.Header{Key: "also", Value: x.Signature.String()})
			}
		}
	}
	if other != "" {
		cs.Extra = append(cs.Extra, corpus.Header{Key: "shortest", Value: other})
	}
	err := c.save(finding, cs)
	if samePlan(finding.Case.Plan, end.Plan) {
		finding.Small, finding.SmallHistory = small, shown
	}
	return err
}

func steps(n int) string {
	if n == 1 {
		return "1 step"
	}
	return fmt.Sprintf("%d steps", n)
}

// again performs p until it fails with sig, a few times at most, to have a history of the minimal plan.
func (c *Campaign) again(ctx context.Context, p model.Plan, sig model.Signature) (*model.History, model.Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, CleanupLimit)
	defer cancel()
	for range 30 {
		h, v, err := c.Rig.Perform(ctx, p, 0)
		if err != nil || v.Has(sig) {
			return h, v, err
		}
	}
	return nil, model.Verdict{}, nil
}

func samePlan(a, b model.Plan) bool {
	return shrink.CostOf(a, nil).Compare(shrink.CostOf(b, nil)) == 0
}

func (c *Campaign) newCase(f Failure, p model.Plan, cert shrink.Certificate, shrunk string) *corpus.Case {
	return &corpus.Case{
		Signature: f.Violation.Signature, Promise: f.Violation.Promise, Build: c.Build, Bugs: c.Bugs,
		Profile: c.Rig.contract.Profile, Flags: c.Rig.contract.Changed().String(), Certificate: cert, Shrunk: shrunk, Plan: p,
		Found:   fmt.Sprintf("%s, campaign seed %d, plan %d", f.History.Meta.Began.UTC().Format("2006-01-02"), c.Config.Seed, f.Index+1),
		Excerpt: c.Excerpt(f.History, f.Violation),
	}
}

// save puts cs into the corpus. A later case of one finding replaces what the campaign saved before.
func (c *Campaign) save(finding *Finding, cs *corpus.Case) error {
	if finding.Case == nil || finding.Added == corpus.Duplicate {
		finding.Case = cs
	}
	if c.Store == nil {
		finding.Case = cs
		return nil
	}
	added, path, err := c.Store.Add(cs)
	if err != nil {
		return fmt.Errorf("save case: %w", err)
	}
	if finding.Path == "" || added == corpus.New || finding.Added == corpus.Duplicate {
		finding.Added = added
	}
	if added != corpus.Duplicate {
		finding.Case = cs
	}
	finding.Path = path
	return nil
}

// boxesOf names the boxes of the calls that show the violation.
func boxesOf(f Failure) []model.Ref {
	var out []model.Ref
	for _, id := range f.Violation.Calls {
		if b := f.History.Calls[callIndex(f.History, id)].Box; b != "" {
			out = append(out, b)
		}
	}
	return out
}

// Name is how people call the finding: the name of its case in the corpus, which may be an earlier
// one, or else the signature.
func (f *Finding) Name() string {
	if f.Path != "" {
		return strings.TrimSuffix(filepath.Base(f.Path), corpus.Ext)
	}
	return strings.ReplaceAll(f.Violation.Signature.String(), " ", "")
}
