package corpus

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"chaos/corpus/shrink"
	"chaos/model"
)

// Verdict is what replaying a case showed.
type Verdict string

// The verdicts. Only Fixed is green.
const (
	Fixed   Verdict = "FIXED"  // it ran often enough and never failed
	Failed  Verdict = "FAILED" // it failed as before, or in another way
	Flaky   Verdict = "FLAKY"  // it failed, but far less often than it used to
	Stale   Verdict = "STALE"  // its plan cannot be performed any more
	Errored Verdict = "ERROR"  // nothing can be said: too many runs could not be judged, or the harness is broken
)

// Green reports whether v means that the case needs no attention.
func (v Verdict) Green() bool { return v == Fixed }

// Limits of replaying.
const (
	DefaultMiss = 0.01 // chance of calling a case fixed that is not
	MaxRuns     = 300  // runs a case gets at most, however rarely it fails
)

// RunsNeeded returns the least n for which a case that fails with rate rateLow passes n times in a
// row with a chance of at most miss: (1-rateLow)^n ≤ miss. It is at least 1 and at most MaxRuns;
// cases with a rate below 1.5 % need more than that for a miss of 1 %. A miss outside (0, 1) means
// DefaultMiss.
func RunsNeeded(rateLow, miss float64) int {
	if miss <= 0 || miss >= 1 {
		miss = DefaultMiss
	}
	switch {
	case rateLow >= 1:
		return 1
	case rateLow <= 0:
		return MaxRuns
	}
	// The slack keeps rounding from asking for a run more than the formula does.
	n := math.Ceil(math.Log(miss)/math.Log1p(-rateLow) - 1e-9)
	return int(min(max(n, 1), MaxRuns))
}

// missing is the chance that a case with this rate passes so many runs.
func missing(rate float64, runs int) float64 { return math.Pow(1-rate, float64(runs)) }

// ReplayOptions tune Replay. The zero value is usable.
type ReplayOptions struct {
	Parallel int              // runs at once, default 1
	Miss     float64          // see RunsNeeded, default DefaultMiss
	Vocab    model.Vocabulary // to notice actions that are gone; nil = all are known
}

// Report is the result of replaying a case.
type Report struct {
	Case         string // its name
	Signature    model.Signature
	Verdict      Verdict
	Failures     int // runs that failed with the signature
	Runs         int // runs that could be judged
	Inconclusive int // runs that could not
	// Rate is the lowest rate the case can be expected to fail at, from its certificate.
	Rate float64
	// Miss is the chance that a case with that rate passes all its runs. It is 1 unless the verdict
	// is Fixed.
	Miss      float64
	Different []model.Signature // other violations that were seen, sorted
	Detail    string            // one line for people
}

// String is the report as one line.
func (r Report) String() string {
	return fmt.Sprintf("%-6s %s: %s", r.Verdict, r.Case, r.Detail)
}

// StaleReport is the report of a case file that cannot be read any more.
func StaleReport(name string, err error) Report {
	return Report{Case: name, Verdict: Stale, Miss: 1, Detail: err.Error()}
}

// ErrorReport is the report of a case that cannot be replayed here; why is one line.
func ErrorReport(c *Case, why string) Report {
	return Report{Case: c.Name, Signature: c.Signature, Verdict: Errored, Miss: 1, Detail: why}
}

// deterministic is the certified rate from which a pass is news.
const deterministic = 0.9

// leastToDoubt is how many runs a deterministic case gets at least before it is called flaky.
const leastToDoubt = 10

// Replay runs c until it is known whether it still fails.
//
// The first failure with its signature is enough, unless the certificate says that it fails nearly
// always and it has passed before: then it gets 10 runs at least, and is flaky when most of them pass.
// Without a failure it runs as often as RunsNeeded says and is fixed, unless it violated something
// else (still failed), one of its steps was never reached (stale), or too few runs could be judged
// (an error). Runs that cannot be judged are replaced by others, up to a limit.
func Replay(ctx context.Context, c *Case, run shrink.Run, opt ReplayOptions) Report {
	r := &replay{c: c, n: RunsNeeded(c.Certificate.Low, opt.Miss), others: map[model.Signature]int{}}
	if why := unperformable(c.Plan, opt.Vocab); why != "" {
		rep := r.report(nil)
		rep.Verdict, rep.Miss, rep.Detail = Stale, 1, why
		return rep
	}
	return r.report(r.work(ctx, run, max(opt.Parallel, 1)))
}

// unperformable returns why the plan cannot be run, or "".
func unperformable(p model.Plan, vocab model.Vocabulary) string {
	if len(p.Steps) == 0 {
		return "the plan has no steps"
	}
	if pr := p.Check(); pr != nil {
		return pr.Error()
	}
	for i, s := range p.Steps {
		if vocab == nil {
			break
		}
		if _, ok := vocab.Lookup(s.Action); !ok {
			return fmt.Sprintf("step %d: no action is called %q any more", i+1, s.Action)
		}
	}
	return ""
}

// replay counts what the runs of one case showed.
type replay struct {
	c              *Case
	n              int // runs wanted without a failure
	failures, runs int
	inconclusive   int
	others         map[model.Signature]int
	reached        []bool // nil = not known
	why            string // why the first run that could not be judged could not
}

type replayed struct {
	out shrink.Outcome
	err error
}

// work runs the case until enough is known. It returns why it could not, or nil.
func (r *replay) work(ctx context.Context, run shrink.Run, parallel int) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan replayed, parallel)
	flying := 0
	var stopped error
	for {
		for stopped == nil && flying < parallel && flying < r.wanted() {
			if stopped = ctx.Err(); stopped != nil {
				break
			}
			flying++
			go func() {
				out, err := run(inner, r.c.Plan.Clone())
				results <- replayed{out, err}
			}()
		}
		if flying == 0 {
			return stopped
		}
		got := <-results
		flying--
		if stopped != nil || r.wanted() == 0 {
			continue // broken off, or too late to matter
		}
		if stopped = got.err; stopped == nil {
			r.count(got.out)
		}
		if stopped != nil || r.wanted() == 0 {
			cancel()
		}
	}
}

func (r *replay) count(out shrink.Outcome) {
	seen := map[model.Signature]bool{}
	for _, v := range out.Slips {
		if !seen[v.Signature] {
			seen[v.Signature] = true
			r.others[v.Signature]++
		}
	}
	if len(out.Reached) == len(r.c.Plan.Steps) {
		if r.reached == nil {
			r.reached = make([]bool, len(out.Reached))
		}
		for i, ok := range out.Reached {
			r.reached[i] = r.reached[i] || ok
		}
	}
	switch {
	case out.Failed:
		r.failures++
		r.runs++
	case out.Inconclusive && len(out.Slips) == 0:
		r.inconclusive++
		if r.why == "" && out.Why != "" {
			r.why = ": " + out.Why
		}
	default:
		r.runs++
	}
}

// wanted returns how many more runs are needed, 0 when the verdict is certain or out of reach.
func (r *replay) wanted() int {
	passes := r.runs - r.failures
	target := r.n
	if r.failures > 0 {
		if r.c.Certificate.Rate() < deterministic || passes == 0 {
			return 0
		}
		target = max(r.n, leastToDoubt)
		if 2*passes > target || 2*r.failures >= target {
			return 0 // the majority is certain
		}
	}
	if r.inconclusive > max(r.n, 5) {
		return 0
	}
	return max(0, target-r.runs)
}

// report says what the counts mean; err is why counting ended early.
func (r *replay) report(err error) Report {
	rate := r.c.Certificate.Low
	rep := Report{
		Case: r.c.Name, Signature: r.c.Signature, Failures: r.failures, Runs: r.runs, Inconclusive: r.inconclusive,
		Rate: rate, Miss: 1,
		Different: slices.SortedFunc(maps.Keys(r.others), func(a, b model.Signature) int { return strings.Compare(a.String(), b.String()) }),
	}
	unseen := slices.Index(r.reached, false)
	switch {
	case r.failures > 0 && 2*r.failures < r.runs && r.c.Certificate.Rate() >= deterministic:
		rep.Verdict = Flaky
		rep.Detail = fmt.Sprintf("fails %d of %d runs; it used to fail %d of %d", r.failures, r.runs, r.c.Certificate.Failures, r.c.Certificate.Runs)
	case r.failures > 0:
		rep.Verdict = Failed
		rep.Detail = fmt.Sprintf("fails %d of %d runs", r.failures, r.runs)
	case len(rep.Different) > 0:
		rep.Verdict = Failed
		first := rep.Different[0]
		rep.Detail = fmt.Sprintf("fails differently: %s (%d of %d runs)", first, r.others[first], r.runs)
	case err != nil:
		rep.Verdict = Errored
		rep.Detail = fmt.Sprintf("ended after %d of %d runs: %v", r.runs, r.n, err)
	case r.runs < r.n:
		rep.Verdict = Errored
		rep.Detail = fmt.Sprintf("only %d of %d runs could be judged, %d could not%s", r.runs, r.n, r.inconclusive, r.why)
	case unseen >= 0:
		rep.Verdict = Stale
		rep.Detail = fmt.Sprintf("step %d (%s) was never reached in %d runs", unseen+1, r.c.Plan.Steps[unseen].Action, r.runs)
	default:
		rep.Verdict = Fixed
		rep.Miss = missing(rate, r.runs)
		rep.Detail = r.fixedDetail(rep.Miss)
	}
	return rep
}

func (r *replay) fixedDetail(miss float64) string {
	if r.c.Certificate.Runs == 0 || r.c.Certificate.Low == 0 {
		_, high := shrink.Interval(0, r.runs)
		return fmt.Sprintf("0 of %d runs failed; a rate above %.1f %% is ruled out (97.5 %%), the case was never certified", r.runs, 100*high)
	}
	return fmt.Sprintf("0 of %d runs failed; with its old rate that happens in at most %s of replays", r.runs, percent(miss))
}

// percent writes a chance with two digits that count.
func percent(x float64) string {
	if x >= 0.1 {
		return fmt.Sprintf("%.0f %%", 100*x)
	}
	return fmt.Sprintf("%.2g %%", 100*x)
}
