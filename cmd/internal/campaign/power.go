package campaign

import (
	"fmt"
	"math"
)

// Lack is what a run had too little of.
type Lack string

// The lacks.
const (
	NoPlans    Lack = "plans"
	NoVerdicts Lack = "verdicts"
	OneClient  Lack = "clients"
	NoBoxes    Lack = "boxes"
	NoOverlap  Lack = "overlap"
	NoMeeting  Lack = "meetings"
	OneByOne   Lack = "concurrency"
	NoExecs    Lack = "execs"
	NoOutput   Lack = "output"
	NoJournal  Lack = "journal"
	NotRunner  Lack = "runner"
)

// Reason is why a run that found nothing proves little.
type Reason struct {
	Lack  Lack    `json:"lack"`
	Seen  int     `json:"seen"`
	Of    int     `json:"of"`
	Least float64 `json:"least"` // share of Of that was asked for
	Text  string  `json:"text"`
}

// sign is one thing that a healthy run shows. Each is only asked of plans that could show it, so that
// one fault gives one reason.
type sign struct {
	lack Lack
	of   func(c Counts) (seen, of int)
	what string // completes "… in 3 of 20 plans"
	unit string // what is counted, "" = plan
	// least is the share that must show it. Fewer are no reason yet: a run is refused when its numbers
	// refute that share, and luck plays its part in a short run.
	least float64
	usual string
	// rare tells that none at all may be luck. Where that is not so, none is always a reason: however
	// short the run was, a pass would rest on nothing.
	rare bool
	mend string
}

// signs are held against shares far below those of healthy runs on the embedded stack, so that a busy
// machine, few clients or short plans are not refused. Measured on two cores under a load of 20 to 40;
// a star is what two busy goroutines per processor came to in the harness itself:
//
//	                  110 runs,  lowest run   2 clients,   6 clients,
//	                  844 plans  of 20 plans  up to 4      up to 6 steps
//	two clients       100 %      100 %         98 %        100 %
//	a box              99 %       95 %         96 %         93 %
//	calls at once      96 %      100 %         76 %         90 %
//	calls on one box   95 %       90 %         69 %         65 %
//	calls overtaken     5.0 %      4.0 %, 1.4 %*  1.9 %      1.6 %
//	an exec            81 %       74 %         62 %         54 %
//	output of an exec  98 %       93 %         82 %         77 %
//	in the journal    100 %      100 %        100 %        100 %
//
// Where calls queue before the API, 1 of 5,800 calls was overtaken.
var signs = []sign{
	{lack: OneClient, of: func(c Counts) (int, int) { return c.Signs.Clients, c.Plans },
		what: "two clients or more did something", least: 0.5, usual: "100 %",
		mend: "with one client nothing happens at the same time; leave --clients away, or give 2 to 6"},
	{lack: NoBoxes, of: func(c Counts) (int, int) { return c.Signs.Boxes, c.Plans },
		what: "a create was answered with a box", least: 0.5, usual: "98 %",
		mend: "creates fail or hang; try one by hand, look at its answer and at the API's log, mend the stack"},
	{lack: NoOverlap, of: func(c Counts) (int, int) { return c.Signs.Together, c.Signs.Clients },
		what: "calls of two clients were in flight at once", least: 0.25, usual: "96 %",
		mend: "calls one after the other show no races; find what makes clients wait for each other, and after a very short run just perform more plans"},
	{lack: NoMeeting, of: func(c Counts) (int, int) { return c.Signs.Met, c.Signs.Shared }, rare: true,
		what: "calls of two clients were in flight on one box at once", least: 0.25, usual: "95 %",
		mend: "most races are on one box; give more --clients and --max-steps, or find what keeps clients apart"},
	{lack: OneByOne, of: func(c Counts) (int, int) { return c.Signs.Overtaken, c.Signs.Accompanied }, unit: "call", rare: true,
		what: "another client did two calls while one was under way", least: 0.0075, usual: "5 %",
		mend: "the stack seems to serve one call at a time; find what queues them, a proxy or a lock"},
	{lack: NoExecs, of: func(c Counts) (int, int) { return c.Signs.Execs, c.Signs.Boxes },
		what: "an exec was started", least: 0.25, usual: "80 %",
		mend: "execs are refused or hang; try one by hand, and after a very short run just perform more plans"},
	{lack: NoOutput, of: func(c Counts) (int, int) { return c.Signs.Output, c.Signs.Execs }, rare: true,
		what: "an attach session carried an exec to its exit", least: 0.25, usual: "95 %",
		mend: "what execs write is not judged; attach to one by hand and see what comes"},
	{lack: NoJournal, of: func(c Counts) (int, int) { return c.Signs.Logged, c.Signs.Journals },
		what: "the runner's journal had any line", least: 0.9, usual: "100 %",
		mend: "it is empty; see that the runner logs, and that its journal is the one that is read"},
	{lack: NotRunner, of: func(c Counts) (int, int) { return c.Signs.Traced, c.Signs.Logged },
		what: "the runner's journal told of every box and exec", least: 0.9, usual: "100 %",
		mend: "something else answers, a cache, a stub or another runner; see where the API sends calls, and whose journal is read"},
}

// Power says why a run that did this proves little when it found nothing; nothing = it proves what it
// claims. It is a pure function: how long or on how fast a machine it ran plays no part.
func Power(c Counts) []Reason {
	if c.Plans == 0 {
		return []Reason{{Lack: NoPlans, Text: "no plan came to an end: see whether the stack answers, or give more time"}}
	}
	var out []Reason
	if judged := c.Plans - c.Inconclusive; 2*judged < c.Plans {
		out = append(out, Reason{Lack: NoVerdicts, Seen: judged, Of: c.Plans, Least: 0.5,
			Text: fmt.Sprintf("%d of %d plans could be judged, want half: the reasons stand under unjudged", judged, c.Plans)})
	}
	for _, s := range signs {
		seen, of := s.of(c)
		if of > 0 && (seen == 0 && !s.rare || refuted(seen, of, s.least)) {
			out = append(out, s.reason(seen, of))
		}
	}
	if len(out) == 0 && c.Signs.Full == 0 {
		out = append(out, Reason{Lack: NoVerdicts, Of: c.Plans, Text: fmt.Sprintf("0 of %d plans were judged and had a box and calls in flight at once: perform more plans", c.Plans)})
	}
	return out
}

// Unproven says what a run with these counts leaves open because it could not be asked.
func Unproven(c Counts) []string {
	if c.Signs.Boxes > 0 && c.Signs.Journals == 0 {
		return []string{"that the runner did the work: its journal is not read on this stack, so a cache or a stub could have answered"}
	}
	return nil
}

func (s sign) reason(seen, of int) Reason {
	unit := s.unit
	if unit == "" {
		unit = "plan"
	}
	if of != 1 {
		unit += "s"
	}
	return Reason{Lack: s.lack, Seen: seen, Of: of, Least: s.least,
		Text: fmt.Sprintf("%s in %d of %d %s, want %.2g %% (%s is usual): %s", s.what, seen, of, unit, 100*s.least, s.usual, s.mend)}
}

// refuted reports whether seen of n is too few for a share of p: no more would be seen in fewer than
// one of a hundred runs (exact binomial).
func refuted(seen, n int, p float64) bool {
	if float64(seen) >= p*float64(n) {
		return false
	}
	// Summed from seen downwards: below the mean the terms only shrink.
	lg := func(x int) float64 { v, _ := math.Lgamma(float64(x + 1)); return v }
	sum := 0.0
	for k := seen; k >= 0; k-- {
		sum += math.Exp(lg(n) - lg(k) - lg(n-k) + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
	}
	return sum < 0.01
}
