package invariants

import (
	"fmt"
	"slices"
	"strings"

	"chaos/model"
)

type counters struct{}

var _ = register(counters{})

func (counters) Name() string { return "counters" }

func (counters) Promise() string {
	return "Counters of metrics never go down, hold all that was done and no more, and the number of running boxes is true."
}

func (counters) Source() string {
	return "BoxLite OpenAPI RuntimeMetrics and BoxMetrics: totals are monotonic, num_running_boxes is what runs"
}

// Blind implements blindable.
func (counters) Blind(sig model.Signature, h *model.History) string {
	counter, what, _ := strings.Cut(sig.Detail, " ")
	if !h.Meta.Alone && (what == "is too high" || !slices.Contains(boxCounters, counter)) {
		return "others may count here too"
	}
	return ""
}

// The counters of the contract, of a box and of an organization.
var (
	boxCounters = []string{"commands_executed_total", "exec_errors_total", "bytes_sent_total", "bytes_received_total"}
	orgCounters = []string{"boxes_created_total", "boxes_failed_total", "boxes_stopped_total", "total_commands_executed", "total_exec_errors"}
)

const runningBoxes = "num_running_boxes"

func (counters) Check(f *Facts) []Finding {
	var out []Finding
	var earlier []*model.Call
	for i := range f.Calls {
		c := &f.Calls[i]
		if c.Op != model.OpMetrics || c.Outcome != model.OK || c.Counters == nil {
			continue
		}
		of := f.boxBounds
		if c.Variant == "org" {
			if !f.Meta.Alone {
				continue // it may also be that the server began anew meanwhile
			}
			of = f.orgBounds
		}
		out = append(out, f.wentDown(c, earlier)...)
		out = append(out, f.outOfBounds(c, of(c))...)
		earlier = append(earlier, c)
	}
	return out
}

// wentDown compares c with the answers that had come before it was asked. What a box counts may begin
// anew when it does.
func (f *Facts) wentDown(c *model.Call, earlier []*model.Call) []Finding {
	names := boxCounters
	if c.Variant == "org" {
		names = orgCounters
	}
	for _, e := range earlier {
		if c.Variant == "" && f.countsAnew(e.Invoke, c.Return) {
			continue
		}
		if e.Variant != c.Variant || e.Box != c.Box || e.Return >= c.Invoke || c.Variant == "" && f.Timeline(c.Box).Over(e.Invoke, c.Return) != model.Running {
			continue
		}
		for _, n := range names {
			before, a := e.Counters[n]
			after, b := c.Counters[n]
			if a && b && after < before {
				return []Finding{{Call: c, Also: []*model.Call{e}, State: noState, Detail: n + " went down",
					Message: fmt.Sprintf("%s says %s=%d, but %s had said %d", label(c), n, after, label(e), before), Allowed: fmt.Sprintf("%d or more", before), Got: fmt.Sprint(after)}}
			}
		}
	}
	return nil
}

// countsAnew reports whether a fault made the counters of boxes begin anew.
func (f *Facts) countsAnew(from, to int64) bool {
	return slices.ContainsFunc(f.Meta.Faults, func(x model.Fault) bool { return x.Excuse.Counters && x.From <= to && x.To >= from })
}

// bounds is what a counter can be.
type bounds struct{ low, high int64 }

func (b bounds) String() string {
	if b.low == b.high {
		return fmt.Sprint(b.low)
	}
	return fmt.Sprintf("%d to %d", b.low, b.high)
}

func (f *Facts) outOfBounds(c *model.Call, of map[string]bounds) []Finding {
	names := boxCounters
	if c.Variant == "org" {
		names = append([]string{runningBoxes}, orgCounters...)
	}
	for _, n := range names {
		v, there := c.Counters[n]
		b, known := of[n]
		if c.Variant == "" && f.countsAnew(0, c.Return) {
			b.low = 0
		}
		if !there || !known || v >= b.low && v <= b.high {
			continue
		}
		what := "too low"
		if v > b.high {
			what = "too high"
		}
		return []Finding{{Call: c, State: noState, Detail: n + " is " + what,
			Message: fmt.Sprintf("%s says %s=%d", label(c), n, v), Allowed: b.String(), Got: fmt.Sprint(v)}}
	}
	return nil
}

// tally counts calls: those that surely counted before c was asked, and those that can have.
func (f *Facts) tally(c *model.Call, sure, maybe func(x *model.Call) bool) bounds {
	var b bounds
	for i := range f.Calls {
		x := &f.Calls[i]
		if x.Return < c.Invoke && sure(x) {
			b.low++
		}
		if x.Invoke <= c.Return && maybe(x) {
			b.high++
		}
	}
	return b
}

func is(op string) func(*model.Call) bool {
	return func(x *model.Call) bool { return x.Op == op }
}

func accepted(op string) func(*model.Call) bool {
	return func(x *model.Call) bool { return x.Op == op && x.Outcome == model.OK }
}

func nothing(*model.Call) bool { return false }

// failing are requests that may have failed on the way: the contract does not say which refusals count.
func failing(ops ...string) func(*model.Call) bool {
	return func(x *model.Call) bool {
		for _, op := range ops {
			if x.Op == op && x.Outcome != model.OK {
				return true
			}
		}
		return false
	}
}

// boxBounds are the counts of one box. Those of its earlier runs may be lost, so only execs since it
// runs without a break are counted for sure; there may be others where more than us use it.
func (f *Facts) boxBounds(c *model.Call) map[string]bounds {
	ours := func(keep func(*model.Call) bool) func(*model.Call) bool {
		return func(x *model.Call) bool { return x.Box == c.Box && keep(x) }
	}
	execs := f.tally(c, ours(func(x *model.Call) bool {
		return accepted(model.OpExec)(x) && f.Timeline(c.Box).Over(x.Invoke, c.Return) == model.Running
	}), ours(is(model.OpExec)))
	failures := f.tally(c, nothing, ours(failing(model.OpExec)))
	if !f.Meta.Alone || slices.ContainsFunc(f.OfBox(c.Box), func(x *model.Call) bool { return x.Invoke <= c.Return && f.mayTryAgain(x) }) {
		failures.high = never
	}
	if !f.Meta.Alone {
		execs.high = never
	}
	return map[string]bounds{"commands_executed_total": execs, "exec_errors_total": failures}
}

// mayTryAgain reports whether x is an exec that a server may have tried more than once, because its
// box was not surely running and the exec starts it: only the last try is answered.
func (f *Facts) mayTryAgain(x *model.Call) bool {
	return x.Op == model.OpExec && (f.life.Autostart || f.life.Lazy) && f.Timeline(x.Box).Over(x.Invoke, x.Return) != model.Running
}

// orgBounds are the counts of an organization in which nobody else does anything.
func (f *Facts) orgBounds(c *model.Call) map[string]bounds {
	stops := f.tally(c, nothing, func(x *model.Call) bool {
		return (x.Op == model.OpStop || x.Op == model.OpRemove) && (x.Outcome != model.Rejected || x.Undecided())
	})
	running := bounds{}
	for _, ref := range f.BoxRefs() {
		if f.seenStopped(ref, c) {
			stops.low++
		}
		switch s := f.Timeline(ref).Over(c.Invoke, c.Return); {
		case s == model.Running:
			running.low++
			running.high++
		case s&^(model.Absent|model.Fresh|model.Stopped|model.Gone) != 0:
			running.high++
		}
	}
	return map[string]bounds{
		"boxes_created_total":     f.tally(c, accepted(model.OpCreate), is(model.OpCreate)),
		"boxes_failed_total":      f.tally(c, nothing, failing(model.OpCreate, model.OpStart)),
		"boxes_stopped_total":     stops,
		"total_commands_executed": f.tally(c, accepted(model.OpExec), is(model.OpExec)),
		"total_exec_errors":       f.tally(c, nothing, failing(model.OpExec)),
		runningBoxes:              running,
	}
}

// seenStopped reports whether somebody saw that ref had stopped before c was asked.
func (f *Facts) seenStopped(ref model.Ref, c *model.Call) bool {
	for _, x := range f.OfBox(ref) {
		if x.Op == model.OpGet && x.Return < c.Invoke && len(x.Boxes) == 1 && x.Boxes[0].Status == "stopped" {
			return true
		}
	}
	return false
}
