package shrink

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Certificate says how often a plan failed.
type Certificate struct {
	Failures, Runs int
	// Low and High bound the true rate: the exact (Clopper–Pearson) 95 % interval.
	Low, High float64
	// Fresh tells that the runs were made for the certificate only. Runs that took part in choosing
	// the plan flatter it.
	Fresh bool
}

// NewCertificate returns the certificate of failures in runs. It panics unless
// 0 ≤ failures ≤ runs.
func NewCertificate(failures, runs int, fresh bool) Certificate {
	low, high := Interval(failures, runs)
	return Certificate{Failures: failures, Runs: runs, Low: low, High: high, Fresh: fresh}
}

// Rate is the share of runs that failed, 0 without runs.
func (c Certificate) Rate() float64 {
	if c.Runs == 0 {
		return 0
	}
	return float64(c.Failures) / float64(c.Runs)
}

// String is the form in which certificates stand in cases and reports.
func (c Certificate) String() string {
	kind := "fresh"
	if !c.Fresh {
		kind = "search"
	}
	return fmt.Sprintf("fails %d of %d %s runs (95 %%: %s–%s %%)", c.Failures, c.Runs, kind, percent(c.Low), percent(c.High))
}

// percent writes a share with one decimal where a whole number would hide too much.
func percent(x float64) string {
	if p := 100 * x; p > 0 && p < 9.95 {
		return fmt.Sprintf("%.1f", p)
	}
	return fmt.Sprintf("%.0f", 100*x)
}

// Interval returns the exact 95 % interval (Clopper–Pearson) of a rate that showed k times in n
// runs; 0 to 1 for n = 0. It panics unless 0 ≤ k ≤ n.
func Interval(k, n int) (low, high float64) {
	if k < 0 || n < 0 || k > n {
		panic(fmt.Sprintf("shrink: interval of %d in %d", k, n))
	}
	low, high = 0, 1
	if n == 0 {
		return low, high
	}
	if k > 0 {
		low = distuv.Beta{Alpha: float64(k), Beta: float64(n - k + 1)}.Quantile(0.025)
	}
	if k < n {
		high = distuv.Beta{Alpha: float64(k + 1), Beta: float64(n - k)}.Quantile(0.975)
	}
	return low, high
}

// Limits of the first estimate: the original is run until it failed enoughFailures times, at most
// maxEstimate times; with too few failures it is not told apart from noise.
const (
	enoughFailures  = 4
	maxEstimate     = 80
	tooFew          = 2
	refinedFailures = 12 // for the refined estimate, at most twice maxEstimate runs
)

// Noise floor and error rates of the test.
const (
	minNoise = 0.02
	alpha    = 0.01 // keeping a candidate that fails no more often than noise
	beta     = 0.05 // losing a candidate that fails half as often as the original
)

// estimate returns the rate behind k failures in n runs. When the runs were ended by the last
// failure the plain share is too high; leaving that run out corrects it.
func estimate(k, n int) float64 {
	if k >= enoughFailures {
		return float64(k-1) / float64(n-1)
	}
	return float64(k) / float64(max(n, 1))
}

// sprt is Wald's sequential test of "rate ≥ p0" against "rate ≤ p1".
type sprt struct {
	fail, pass       float64 // what one failure adds and one pass takes
	accept, refuse   float64 // thresholds, refuse < 0 < accept
	patience, utmost int     // passes alone that refuse; runs after which the sign decides
}

// newSPRT returns the test for an original with rate r among noise of rate p1. ok is false when
// the two are too close to be told apart.
func newSPRT(r, p1 float64) (t sprt, ok bool) {
	if r < 1.8*p1 {
		return sprt{}, false
	}
	// Near the floor half of r would not differ from noise; twice the floor still does.
	p0 := min(0.95, max(r/2, 2*p1))
	if p0 <= p1 {
		return sprt{}, false
	}
	t = sprt{
		fail:   math.Log(p0 / p1),
		pass:   -math.Log((1 - p0) / (1 - p1)),
		accept: math.Log((1 - beta) / alpha),
		refuse: math.Log(beta / (1 - alpha)),
	}
	t.patience = int(math.Ceil(-t.refuse / t.pass))
	t.utmost = 10*t.patience + 20
	return t, true
}

// caps returns how many passes alone put a candidate off, level by level; the last is the whole test.
func (t sprt) caps() []int {
	var out []int
	for c := max(1, t.patience/16); 2*c <= t.patience; c *= 4 {
		out = append(out, c)
	}
	return append(out, t.patience)
}

// ratio is the log-likelihood ratio of the evidence.
func (t sprt) ratio(failures, runs int) float64 {
	return float64(failures)*t.fail - float64(runs-failures)*t.pass
}

type decision int

const (
	undecided decision = iota
	accepted
	refused // for good, or put off when only the level's cap was reached
)

// decide judges evidence on a level that puts off after limit passes. The sums are compared with a
// hair's breadth of slack so that the number of passes that refuses is exactly t.patience.
func (t sprt) decide(failures, runs, limit int) decision {
	const hair = 1e-9
	l := t.ratio(failures, runs)
	switch {
	case l >= t.accept-hair:
		return accepted
	case l <= t.refuse+hair, failures == 0 && runs >= limit:
		return refused
	case runs >= t.utmost && l > 0:
		return accepted
	case runs >= t.utmost:
		return refused
	}
	return undecided
}

// need returns how many more runs it takes at least until a decision: that many at once are never
// wasted. It is 0 when the evidence decides already.
func (t sprt) need(failures, runs, limit int) int {
	for n := 0; ; n++ {
		if t.decide(failures+n, runs+n, limit) != undecided || t.decide(failures, runs+n, limit) != undecided {
			return n
		}
	}
}
