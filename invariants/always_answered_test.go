package invariants_test

import (
	"time"

	"chaos/model"
)

// hung is a stop that was not answered for as long as we wait.
func hung(s *story) *model.Call {
	c := s.op(model.OpStop, "b1", 0)
	c.Outcome, c.Error, c.Return = model.Unknown, "deadline exceeded", c.Invoke+int64(time.Second)
	s.wait(time.Second)
	return c
}

func init() {
	good["a client that does not wait for the answer"] = func() *story {
		s := lived()
		hung(s).GaveUp = true
		return end(s)
	}
	good["a connection that idled and was closed when it was used again"] = func() *story {
		s := lived()
		c := s.op(model.OpStop, "b1", 0)
		c.Outcome, c.Error, c.Reused = model.Unknown, "EOF", true
		return end(s)
	}
	bad = append(bad,
		badStory{"always-answered", "no answer", func() *story {
			s := lived()
			hung(s).Reused = true
			return end(s)
		}},
		badStory{"always-answered", "connection ended", func() *story {
			s := lived()
			c := s.op(model.OpMetrics, "b1", 0)
			c.Outcome, c.Error = model.Unknown, "EOF"
			return end(s)
		}},
	)
}
