package invariants_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/model"
)

const noon, later = "2026-01-02T12:00:00.5Z", "2026-01-02T12:00:07Z"

// ordered is a life of a box of two CPUs and 1536 MiB whose view in a get is edited.
func ordered(edit func(s *story, get *model.Call)) func() *story {
	return func() *story {
		s := begin()
		c := s.create("b1")
		c.CPUs, c.MemoryMiB = 2, 1536
		made := &c.Boxes[0]
		made.CPUs, made.MemoryMiB, made.Created, made.Updated = 2, 2048, noon, later
		get := s.look("b1", "running")
		get.Boxes[0] = *made
		edit(s, get)
		return end(s)
	}
}

func view(edit func(v *model.BoxView)) func() *story {
	return ordered(func(_ *story, get *model.Call) { edit(&get.Boxes[0]) })
}

func boxMetrics(left ...string) map[string]int64 {
	m := map[string]int64{"commands_executed_total": 0, "exec_errors_total": 0, "bytes_sent_total": 0, "bytes_received_total": 0}
	for _, x := range left {
		delete(m, x)
	}
	return m
}

func TestTrueBodies_GoodHistoriesPass(t *testing.T) {
	for name, make := range map[string]func() *story{
		"memory in whole GiB":            view(func(*model.BoxView) {}),
		"memory as asked for":            view(func(v *model.BoxView) { v.MemoryMiB = 1536 }),
		"an older server leaves out":     view(func(v *model.BoxView) { v.CPUs, v.MemoryMiB, v.Created, v.Updated, v.Name = 0, 0, "", "", "" }),
		"times in less detail":           view(func(v *model.BoxView) { v.Created, v.Updated = "2026-01-02T12:00:00Z", "2026-01-02T12:00:00Z" }),
		"the update stored less exactly": view(func(v *model.BoxView) { v.Updated = "2026-01-02T12:00:00Z" }),
		"another time zone":              view(func(v *model.BoxView) { v.Created, v.Updated = "2026-01-02T13:00:00.5+01:00", later }),
		"renamed while it goes": func() *story {
			s := lived()
			r := s.remove("b1")
			c := s.overlap(s.look("b1", "stopping"))
			c.Boxes[0].Name, c.Return = "DESTROYED_t-1-b1_IDb1", r.Return
			return s
		},
		"a stopped box has no counters": func() *story {
			s := lived()
			s.op(model.OpStop, "b1", 201)
			s.look("b1", "stopped")
			s.op(model.OpMetrics, "b1", 200).Counters = map[string]int64{}
			return end(s)
		},
		"all the counters": func() *story {
			s := begin()
			s.create("b1")
			s.op(model.OpMetrics, "b1", 200).Counters = boxMetrics()
			return end(s)
		},
		"the execution that was asked for": func() *story { s := lived(); s.info("e1", 7).View.ID = "Xe1"; return end(s) },
		"a box of a create without an answer": func() *story {
			s := lived()
			c := s.refuse("b2", 0, "")
			c.Outcome, c.GaveUp = model.Unknown, true
			l := s.list("b1", "running")
			l.Boxes = append(l.Boxes, model.BoxView{ID: "IDb2", Name: "t-1-b2", Status: "running"})
			return end(s)
		},
	} {
		v := judge(make())
		require.Equal(t, model.Pass, v.Status, "%s: %+v", name, v)
	}
}

var badBodies = []badStory{
	{"true-bodies", "no box_id", func() *story { s := lived(); s.op(model.OpCreate, "b2", 201).Garbled = "no box_id"; return end(s) }},
	{"true-bodies", `status "failed"`, func() *story { s := lived(); s.create("b2").Boxes[0].Status = "failed"; s.remove("b2"); return end(s) }},
	{"true-bodies", `status "unknown"`, func() *story { s := lived(); s.create("b2").Boxes[0].Status = "unknown"; s.remove("b2"); return end(s) }},
	{"true-bodies", "another box", view(func(v *model.BoxView) { v.ID = "IDb9" })},
	{"true-bodies", "another box", func() *story {
		s := lived()
		c := s.op(model.OpStart, "b1", 201)
		c.Boxes = boxes("b9", "running")
		return end(s)
	}},
	{"true-bodies", "another name", view(func(v *model.BoxView) { v.Name = "t-1-b9" })},
	{"true-bodies", "another number of CPUs", view(func(v *model.BoxView) { v.CPUs = 1 })},
	{"true-bodies", "another size of memory", view(func(v *model.BoxView) { v.MemoryMiB = 1024 })},
	{"true-bodies", "another size of memory", func() *story {
		s := lived()
		c := s.list("b1", "running")
		s.h.Calls[0].MemoryMiB, c.Boxes[0].MemoryMiB = 2048, 3072
		return end(s)
	}},
	{"true-bodies", "changed before it was made", view(func(v *model.BoxView) { v.Updated = "2026-01-02T11:00:00Z" })},
	{"true-bodies", "made at another time", view(func(v *model.BoxView) { v.Created, v.Updated = later, later })},
	{"true-bodies", "created_at is no time", view(func(v *model.BoxView) { v.Created = "yesterday" })},
	{"true-bodies", "no list of boxes", func() *story { s := lived(); s.list("b1", "running").Garbled = "no list of boxes"; return end(s) }},
	{"true-bodies", "one box twice", func() *story { s := lived(); s.list("b1", "running", "b1", "running"); return end(s) }},
	{"true-bodies", "a box nobody asked for", func() *story {
		s := lived()
		l := s.list("b1", "running")
		l.Boxes = append(l.Boxes, model.BoxView{ID: "IDx", Name: "t-1-x", Status: "running"})
		return end(s)
	}},
	{"true-bodies", "another execution", func() *story { s := lived(); s.info("e1", 7).View.ID = "Xe2"; return end(s) }},
	{"true-bodies", "no exec_errors_total", func() *story {
		s := begin()
		s.create("b1")
		s.op(model.OpMetrics, "b1", 200).Counters = boxMetrics("exec_errors_total")
		return end(s)
	}},
	{"true-bodies", "no num_running_boxes", func() *story {
		s := lived()
		s.orgMetrics(map[string]int64{})
		return end(s)
	}},
}
