package invariants_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/model"
)

const full = `{"statusCode":429,"error":"Too Many Requests","message":"limit reached: 2 of 2","code":"resource_exhausted"}`

// limited is a story in which two boxes may exist.
func limited() *story {
	s := begin()
	s.h.Meta.Quota, s.h.Meta.Alone = 2, true
	return s
}

func (s *story) refuse(ref string, status int, body string) *model.Call {
	c := s.op(model.OpCreate, ref, status)
	c.BoxID, c.Name, c.Body = "", "t-1-"+ref, body
	return c
}

// overlap makes the call begin with the one before it.
func (s *story) overlap(c *model.Call) *model.Call {
	c.Invoke = s.h.Calls[c.ID-1].Invoke
	return c
}

func TestQuota_GoodHistoriesPass(t *testing.T) {
	for name, make := range map[string]func() *story{
		"refused while two are there": func() *story {
			s := limited()
			s.create("b1")
			s.create("b2")
			s.refuse("b3", 429, full)
			return s
		},
		"a place is free again when the delete is accepted": func() *story {
			s := limited()
			s.create("b1")
			s.create("b2")
			s.remove("b1")
			s.create("b3")
			return s
		},
		"a delete under way may have freed its place or not": func() *story {
			s := limited()
			s.create("b1")
			s.create("b2")
			s.remove("b1")
			s.overlap(s.create("b3"))
			s.remove("b2")
			s.overlap(s.refuse("b4", 429, full))
			return s
		},
		"a create under way may have taken the last place": func() *story {
			s := limited()
			s.create("b1")
			s.create("b2")
			s.overlap(s.refuse("b3", 429, full)).Invoke--
			return s
		},
		"a create without an answer may have made a box": func() *story {
			s := limited()
			s.create("b1")
			c := s.refuse("b2", 0, "")
			c.Outcome, c.GaveUp = model.Unknown, true
			s.refuse("b3", 429, full)
			return s
		},
		"a create that timed out may have, too": func() *story {
			s := limited()
			s.create("b1")
			s.refuse("b2", 408, `{"statusCode":408,"error":"x","message":"not ready","code":"timeout"}`)
			s.refuse("b3", 429, full)
			return s
		},
		"a remove without an answer may have made room": func() *story {
			s := limited()
			s.create("b1")
			s.create("b2")
			c := s.op(model.OpRemove, "b1", 0)
			c.Outcome, c.GaveUp = model.Unknown, true
			s.create("b3")
			return s
		},
		"a refused create may have had a place while it lasted": func() *story {
			s := limited()
			s.create("b1")
			s.refuse("b2", 400, `{"error":"invalid argument: no"}`).Variant = "unknown-image"
			s.overlap(s.refuse("b3", 429, full))
			return s
		},
		"a box too large is another matter": func() *story {
			s := limited()
			s.refuse("b1", 429, full).Variant = "cpus-huge"
			return s
		},
		"the limit is not known": func() *story {
			s := limited()
			s.h.Meta.Quota = 0
			s.refuse("b1", 429, full)
			return s
		},
	} {
		s := make()
		s.cleanUp()
		v := judge(s)
		require.Equal(t, model.Pass, v.Status, "%s: %+v", name, v)
	}
}

// cleanUp removes every box that is there.
func (s *story) cleanUp() {
	gone := map[model.Ref]bool{}
	for _, c := range s.h.Calls {
		gone[c.Box] = gone[c.Box] || c.Op == model.OpRemove
	}
	for _, c := range s.h.Calls {
		if c.Op == model.OpCreate && c.Outcome == model.OK && !gone[c.Box] {
			s.remove(string(c.Box))
		}
	}
}

var badQuota = []badStory{
	{"quota", "over the limit", func() *story {
		s := limited()
		s.create("b1")
		s.create("b2")
		s.create("b3")
		s.cleanUp()
		return s
	}},
	{"quota", "over the limit", func() *story {
		s := limited()
		s.create("b1")
		s.create("b2")
		s.overlap(s.create("b3"))
		s.overlap(s.remove("b1")).Invoke = s.h.Calls[2].Return + 1
		s.cleanUp()
		return s
	}},
	{"quota", "refused below the limit", func() *story {
		s := limited()
		s.create("b1")
		s.refuse("b2", 429, full)
		s.cleanUp()
		return s
	}},
	{"quota", "refused below the limit", func() *story {
		s := limited()
		s.create("b1")
		s.create("b2")
		s.remove("b1")
		s.refuse("b3", 429, full)
		s.cleanUp()
		return s
	}},
	{"nothing-left", "record left by a refused create", func() *story {
		s := limited()
		s.create("b1")
		s.create("b2")
		s.refuse("b3", 429, full)
		l := s.list("b1", "running", "b2", "running")
		l.Boxes = append(l.Boxes, model.BoxView{ID: "IDb3", Name: "t-1-b3", Status: "configured"})
		s.cleanUp()
		return s
	}},
}
