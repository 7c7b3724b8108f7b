package invariants_test

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/model"
)

func (s *story) orgMetrics(m map[string]int64) *model.Call {
	c := s.add(model.Call{Op: model.OpMetrics, Variant: "org", Status: 200})
	c.Counters = m
	return c
}

// org is what is true in counted, changed by edit.
func org(edit map[string]int64) map[string]int64 {
	m := map[string]int64{"boxes_created_total": 2, "boxes_failed_total": 0, "boxes_stopped_total": 1, "num_running_boxes": 1, "total_commands_executed": 1, "total_exec_errors": 1}
	maps.Copy(m, edit)
	return m
}

// counted has two boxes, of which one is stopped, an exec and a refused exec.
func counted() *story {
	s := begin()
	s.h.Meta.Alone = true
	s.create("b1")
	s.create("b2")
	s.exec("e1", "b1", model.Payload{Stdout: 1})
	s.attach("e1", nil)
	s.op(model.OpExec, "b1", 422).Variant = "missing-binary"
	s.op(model.OpStop, "b2", 201)
	s.look("b2", "stopped")
	return s
}

func tallied(edit map[string]int64) func() *story {
	return func() *story { s := counted(); s.orgMetrics(org(edit)); s.remove("b2"); return end(s) }
}

// measured is counted with metrics of b1, changed by edit.
func measured(edit map[string]int64) func() *story {
	return func() *story {
		s := counted()
		m := boxMetrics()
		m["commands_executed_total"], m["exec_errors_total"] = 1, 1
		maps.Copy(m, edit)
		s.op(model.OpMetrics, "b1", 200).Counters = m
		s.remove("b2")
		return end(s)
	}
}

func TestCounters_GoodHistoriesPass(t *testing.T) {
	for name, make := range map[string]func() *story{
		"all that was done":          tallied(nil),
		"a refused exec counts":      tallied(map[string]int64{"total_commands_executed": 2}),
		"a refused exec is no error": tallied(map[string]int64{"total_exec_errors": 0}),
		"of a box":                   measured(nil),
		"an exec that starts its box may be tried twice": func() *story {
			s := stopped()
			s.h.Meta.Alone = true
			s.exec("e1", "b1", model.Payload{Stdout: 2})
			s.attach("e1", nil)
			s.look("b1", "running")
			m := boxMetrics()
			m["commands_executed_total"], m["exec_errors_total"] = 1, 1
			s.op(model.OpMetrics, "b1", 200).Counters = m
			return end(s)
		},
		"of a box, refused exec counted": measured(map[string]int64{"commands_executed_total": 2}),
		"shared with others": func() *story {
			s := tallied(map[string]int64{"boxes_created_total": 99})()
			s.h.Meta.Alone = false
			return s
		},
		"an exec under way": func() *story {
			s := counted()
			s.exec("e2", "b1", model.Payload{Stdout: 1})
			s.overlap(s.orgMetrics(org(nil)))
			s.attach("e2", nil)
			s.remove("b2")
			return end(s)
		},
		"a stop under way": func() *story {
			s := counted()
			s.op(model.OpStop, "b1", 201)
			s.orgMetrics(org(nil))
			s.orgMetrics(org(map[string]int64{"num_running_boxes": 0, "boxes_stopped_total": 2}))
			s.remove("b2")
			return end(s)
		},
		"a box counts anew when it starts again": func() *story {
			s := begin()
			s.create("b1")
			s.exec("e1", "b1", model.Payload{})
			s.attach("e1", nil)
			s.op(model.OpMetrics, "b1", 200).Counters = map[string]int64{"commands_executed_total": 1, "exec_errors_total": 0, "bytes_sent_total": 0, "bytes_received_total": 9}
			s.op(model.OpStop, "b1", 201)
			s.look("b1", "stopped")
			s.op(model.OpStart, "b1", 201)
			s.op(model.OpMetrics, "b1", 200).Counters = boxMetrics()
			return end(s)
		},
	} {
		v := judge(make())
		require.Equal(t, model.Pass, v.Status, "%s: %+v", name, v)
	}
}

var badCounters = []badStory{
	{"counters", "boxes_created_total is too low", tallied(map[string]int64{"boxes_created_total": 1})},
	{"counters", "boxes_created_total is too high", tallied(map[string]int64{"boxes_created_total": 3})},
	{"counters", "boxes_stopped_total is too low", tallied(map[string]int64{"boxes_stopped_total": 0})},
	{"counters", "num_running_boxes is too low", tallied(map[string]int64{"num_running_boxes": 0})},
	{"counters", "num_running_boxes is too high", tallied(map[string]int64{"num_running_boxes": 2})},
	{"counters", "total_commands_executed is too low", tallied(map[string]int64{"total_commands_executed": 0})},
	{"counters", "total_commands_executed is too high", tallied(map[string]int64{"total_commands_executed": 3})},
	{"counters", "total_exec_errors is too high", tallied(map[string]int64{"total_exec_errors": 2})},
	{"counters", "commands_executed_total is too low", measured(map[string]int64{"commands_executed_total": 0})},
	{"counters", "commands_executed_total is too high", measured(map[string]int64{"commands_executed_total": 3})},
	{"counters", "exec_errors_total is too high", measured(map[string]int64{"exec_errors_total": 2})},
	{"counters", "bytes_received_total went down", func() *story {
		s := begin()
		s.create("b1")
		for _, n := range []int64{9, 8} {
			m := boxMetrics()
			m["bytes_received_total"] = n
			s.op(model.OpMetrics, "b1", 200).Counters = m
		}
		return end(s)
	}},
	{"counters", "total_exec_errors went down", func() *story {
		s := counted()
		s.orgMetrics(org(nil))
		s.orgMetrics(org(map[string]int64{"total_exec_errors": 0}))
		s.remove("b2")
		return end(s)
	}},
}
