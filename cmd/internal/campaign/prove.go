package campaign

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"chaos/actions"
	"chaos/corpus"
	"chaos/corpus/shrink"
	"chaos/model"
)

// Trial is one attempt to find a seeded bug: from random plans to a replayed case.
type Trial struct {
	Bug        string        `json:"bug"`
	Seed       int64         `json:"seed"`
	Found      bool          `json:"found"`
	Signature  string        `json:"signature,omitempty"`
	After      time.Duration `json:"after,omitempty"` // search time to the first failure
	Plans      int           `json:"plans"`           // random plans performed
	Before     int           `json:"steps_before,omitempty"`
	Steps      int           `json:"steps,omitempty"` // of the saved case
	Executions int           `json:"executions,omitempty"`
	Failures   int           `json:"failures,omitempty"` // of the certificate
	Runs       int           `json:"runs,omitempty"`
	Buggy      string        `json:"replay_buggy,omitempty"`
	Clean      string        `json:"replay_clean,omitempty"`
	Error      string        `json:"error,omitempty"`
	Program    string        `json:"program,omitempty"` // which build performed it
	Case       *corpus.Case  `json:"-"`
}

// Quiet is Events that says nothing.
type Quiet struct{}

// Found implements Events.
func (Quiet) Found(Failure) {}

// Better implements Events.
func (Quiet) Better(Failure, shrink.Progress) {}

// Saved implements Events.
func (Quiet) Saved(*Finding) {}

// Try searches for whatever is wrong with the stack of buggy, shrinks the first finding, and replays
// it there and on the clean stack. It is not told what to look for.
func Try(ctx context.Context, buggy, clean *Rig, base Trial, cfg Config, build string, excerpt func(*model.History, model.Violation) []string) Trial {
	t := base
	stats := &Stats{}
	cfg.Seed, cfg.FailFast = t.Seed, true
	c := &Campaign{Rig: buggy, Config: cfg, Events: Quiet{}, Stats: stats, Build: build, Bugs: []string{t.Bug}, Excerpt: excerpt}
	findings, err := c.Run(ctx)
	t.Plans = stats.Snapshot().Plans
	if err != nil {
		t.Error = err.Error()
	}
	if len(findings) == 0 {
		return t
	}
	f := findings[0]
	t.Found, t.Signature, t.After, t.Before = true, f.Violation.Signature.String(), f.After, len(f.Plan.Steps)
	t.Case, t.Executions = f.Case, f.Shrunk.Executions
	t.Steps, t.Failures, t.Runs = len(f.Case.Plan.Steps), f.Case.Certificate.Failures, f.Case.Certificate.Runs
	opt := corpus.ReplayOptions{Parallel: cfg.Workers, Vocab: actions.Vocabulary{}}
	t.Buggy = string(corpus.Replay(ctx, f.Case, buggy.Predicate(f.Case.Signature), opt).Verdict)
	t.Clean = string(corpus.Replay(ctx, f.Case, clean.Predicate(f.Case.Signature), opt).Verdict)
	return t
}

// Row sums up the trials of one bug.
type Row struct {
	Bug         string        `json:"bug"`
	Reference   string        `json:"reference"`
	Signature   string        `json:"signature"` // the most frequent one
	Trials      int           `json:"trials"`
	Found       int           `json:"found"`
	MedianAfter time.Duration `json:"median_after"`
	WorstAfter  time.Duration `json:"worst_after"`
	Before      int           `json:"median_steps_before"`
	Steps       int           `json:"median_steps"`
	BestSteps   int           `json:"best_steps"`
	Executions  int           `json:"median_executions"`
	Failures    int           `json:"failures"` // of the certificates, together
	Runs        int           `json:"runs"`
	Buggy       int           `json:"replays_failed_on_buggy"` // FAILED (or FLAKY: fails, but less often)
	Clean       int           `json:"replays_fixed_on_clean"`
	Known       int           `json:"known_minimum,omitempty"` // steps of the shortest plan known to show the bug, 0 = none is known
	Program     string        `json:"program,omitempty"`       // which build measured it
	Errors      []string      `json:"errors,omitempty"`
}

// Short reports what in the row falls short of the aim: found in nine of ten seeds, shrunk to what is
// known to be enough, replays FAILED on the buggy stack and FIXED on the clean one. Empty if nothing.
func (r Row) Short() []string {
	var out []string
	if 10*r.Found < 9*r.Trials {
		out = append(out, "found too rarely")
	}
	if r.Found > 0 && r.Known > 0 && r.Steps > r.Known {
		out = append(out, fmt.Sprintf("%d would be enough", r.Known))
	}
	if r.Buggy < r.Found {
		out = append(out, "not every case fails again")
	}
	if r.Clean < r.Found {
		out = append(out, "not every case is fixed on the clean stack")
	}
	if len(r.Errors) > 0 {
		out = append(out, "errors")
	}
	return out
}

// SumUp makes the row of the trials of one bug.
func SumUp(bug, reference string, trials []Trial) Row {
	r := Row{Bug: bug, Reference: reference, Trials: len(trials)}
	var after []time.Duration
	var before, steps, runs []int
	signatures := map[string]int{}
	var programs []string
	for _, t := range trials {
		if t.Program != "" && !slices.Contains(programs, t.Program) {
			programs = append(programs, t.Program)
		}
		if t.Error != "" {
			r.Errors = append(r.Errors, t.Error)
		}
		if !t.Found {
			continue
		}
		r.Found++
		signatures[t.Signature]++
		after, before, steps, runs = append(after, t.After), append(before, t.Before), append(steps, t.Steps), append(runs, t.Executions)
		r.Failures += t.Failures
		r.Runs += t.Runs
		if t.Buggy == string(corpus.Failed) || t.Buggy == string(corpus.Flaky) {
			r.Buggy++
		}
		if t.Clean == string(corpus.Fixed) {
			r.Clean++
		}
	}
	r.Program = strings.Join(programs, ", ")
	if r.Found == 0 {
		return r
	}
	r.MedianAfter, r.Before, r.Steps, r.Executions = median(after), median(before), median(steps), median(runs)
	r.WorstAfter, r.BestSteps = after[len(after)-1], steps[0]
	for s, n := range signatures {
		if n > signatures[r.Signature] || n == signatures[r.Signature] && s < r.Signature {
			r.Signature = s
		}
	}
	return r
}

// median sorts list and returns its lower middle.
func median[T int | time.Duration](list []T) T {
	sort.Slice(list, func(i, j int) bool { return list[i] < list[j] })
	return list[(len(list)-1)/2]
}
