package engine_test

import (
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/invariants"
	"chaos/model"
)

// BenchmarkJudge judges campaigns of growing length the way a run does, one history after the other.
// Time per step and the peak of the heap must not grow with the length.
func BenchmarkJudge(b *testing.B) {
	var lines [][]byte
	var steps []int
	for _, h := range runPlans(b, 77, 60, 20) {
		l, err := h.MarshalLines()
		require.NoError(b, err)
		lines, steps = append(lines, l), append(steps, len(h.Plan.Steps))
	}
	c := contract(b)
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("steps=%d", n), func(b *testing.B) {
			var peak uint64
			done := 0
			for b.Loop() {
				peak = max(peak, campaignOf(b, c, lines, steps, n))
				done += n
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(done), "µs/step")
			b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
		})
	}
}

// campaignOf judges histories until n steps are judged, and returns the peak of the heap in bytes.
func campaignOf(b *testing.B, c model.Contract, lines [][]byte, steps []int, n int) (peak uint64) {
	for i, done := 0, 0; done < n; i++ {
		h, err := model.ParseHistory(lines[i%len(lines)])
		require.NoError(b, err)
		v := invariants.Judge(h, c)
		require.NotEqual(b, model.Violated, v.Status, "%+v", v)
		done += steps[i%len(lines)]
		if i%20 == 0 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		}
	}
	return peak
}

// BenchmarkOneHistory judges single histories of growing length: all the calls of many plans as if
// one plan had made them, so that a check that compares everything with everything would show.
func BenchmarkOneHistory(b *testing.B) {
	for _, plans := range []int{10, 40, 160} {
		h := joined(runPlans(b, 500, plans, 20))
		b.Run(fmt.Sprintf("calls=%d", len(h.Calls)), func(b *testing.B) {
			c := contract(b)
			for b.Loop() {
				v := invariants.Judge(h, c)
				require.NotEqual(b, model.Violated, v.Status, "%+v", v.Violations)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(h.Calls)), "µs/call")
		})
	}
}

// joined puts histories one after the other, with refs of their own.
func joined(list []*model.History) *model.History {
	out := &model.History{Meta: list[0].Meta, Journal: model.Journal{Kind: list[0].Journal.Kind}}
	at := int64(0)
	for n, h := range list {
		last := at
		for _, c := range h.Calls {
			c.ID, c.Step = len(out.Calls), model.Harness
			c.Invoke, c.Return = c.Invoke+at, c.Return+at
			last = max(last, c.Return)
			c.Box, c.Exec = numbered(c.Box, n), numbered(c.Exec, n)
			if c.Op == model.OpMetrics || c.Op == model.OpProbe {
				continue // what they tell is of the plan's own organization
			}
			c.Attach = later(c.Attach, at)
			for i := range c.Boxes {
				c.Boxes[i].Ref = numbered(c.Boxes[i].Ref, n)
			}
			out.Calls = append(out.Calls, c)
		}
		for _, e := range h.Journal.Entries {
			e.At += at
			out.Journal.Entries = append(out.Journal.Entries, e)
		}
		at = last + 1
	}
	return out
}

// later returns a with all its times moved by d.
func later(a *model.Attach, d int64) *model.Attach {
	if a == nil {
		return nil
	}
	moved := *a
	if moved.Opened != 0 {
		moved.Opened += d
	}
	if moved.EOF != 0 {
		moved.EOF += d
	}
	moved.Frames = slices.Clone(a.Frames)
	for i := range moved.Frames {
		moved.Frames[i].At += d
	}
	return &moved
}

func numbered(r model.Ref, n int) model.Ref {
	if r == "" {
		return ""
	}
	return model.Ref(fmt.Sprintf("%s%05d", r, n))
}
