package invariants_test

import (
	"time"

	"chaos/model"
)

// envelope is a refusal as boxlite serve words it.
func envelope(code string) string {
	return `{"error":{"message":"no","type":"Error","code":"` + code + `"}}`
}

// meanwhile makes c last from before the calls that inner makes until after them.
func (s *story) meanwhile(c *model.Call, inner func()) {
	i := c.ID
	inner()
	s.now++
	s.h.Calls[i].Return = s.now * ms
	s.now++
}

// gaveUp makes c one whose answer its client did not wait for.
func gaveUp(c *model.Call) { c.Outcome, c.Status, c.GaveUp = model.Unknown, 0, true }

func init() {
	// A stop comes between the making ready and the command, so the box is started twice for one exec.
	restarted := func() *story {
		s := stopped()
		c := s.exec("e1", "b1", model.Payload{Stdout: 2})
		s.meanwhile(c, func() {
			s.look("b1", "running")
			s.op(model.OpStop, "b1", 201)
			s.look("b1", "stopped")
		})
		return s
	}
	good["an exec starts its box again after a stop that came before the command"] = func() *story {
		s := restarted()
		s.attach("e1", nil)
		s.look("b1", "running")
		return end(s)
	}
	good["an exec is refused for its removed box, which it had started"] = func() *story {
		s := stopped()
		c := s.op(model.OpExec, "b1", 404)
		s.meanwhile(c, func() {
			s.look("b1", "running")
			s.remove("b1")
			s.look("b1", "")
		})
		s.list()
		return s
	}
	good["an exec whose client gave up has started the box, and nothing in it"] = func() *story {
		s := stopped()
		s.log("Executing job job_id=1 job_type=CREATE_BOX resource_type=box resource_id=IDb1")
		s.log("Executing job job_id=2 job_type=STOP_BOX resource_type=box resource_id=IDb1")
		gaveUp(s.op(model.OpExec, "b1", 0))
		s.log("Executing job job_id=3 job_type=START_BOX resource_type=box resource_id=IDb1")
		s.look("b1", "running")
		return end(s)
	}
	good["of stops at the same time some join another, and one has no answer"] = func() *story {
		s := fresh()
		s.log("Executing job job_id=1 job_type=CREATE_BOX resource_type=box resource_id=IDb1")
		s.op(model.OpStart, "b1", 200)
		s.op(model.OpStop, "b1", 200)
		s.op(model.OpStop, "b1", 200)
		s.op(model.OpStart, "b1", 200)
		gaveUp(s.op(model.OpStop, "b1", 0))
		s.log("Executing job job_id=2 job_type=STOP_BOX resource_type=box resource_id=IDb1")
		s.log("Executing job job_id=3 job_type=STOP_BOX resource_type=box resource_id=IDb1")
		s.look("b1", "stopped")
		return endServe(s)
	}
	good["an answer that was late, and what was begun anew before it came"] = func() *story {
		s := stopped()
		start := s.op(model.OpStart, "b1", 201)
		s.meanwhile(start, func() {
			s.look("b1", "running")
			s.op(model.OpStop, "b1", 201)
			s.look("b1", "stopped")
			s.exec("e1", "b1", model.Payload{Stdout: 2})
			s.look("b1", "configured")
		})
		s.h.Calls[len(s.h.Calls)-2].Return = (s.now + 5) * ms // the exec that begins it anew
		s.look("b1", "configured")
		s.now += 5
		s.look("b1", "running")
		return end(s)
	}
	bad = append(bad,
		badStory{"status-truth", "running", func() *story { // nobody has started it since
			s := restarted()
			s.op(model.OpStop, "b1", 201)
			s.look("b1", "stopped")
			s.look("b1", "running")
			return end(s)
		}},
		badStory{"status-truth", "running", func() *story { // the log knows of no start
			s := stopped()
			s.log("Executing job job_id=1 job_type=CREATE_BOX resource_type=box resource_id=IDb1")
			s.log("Executing job job_id=2 job_type=STOP_BOX resource_type=box resource_id=IDb1")
			gaveUp(s.op(model.OpExec, "b1", 0))
			s.look("b1", "running")
			return end(s)
		}},
		badStory{"output-complete", "truncated, first attach", func() *story { // the box it started is its own
			s := stopped()
			s.exec("e1", "b1", model.Payload{Stdout: 2})
			s.attach("e1", func(out, err string) (string, string) { return out[:len(out)/2], err })
			s.look("b1", "running")
			return end(s)
		}},
		badStory{"error-shape", "flat shape", func() *story {
			s := fresh()
			s.op(model.OpGet, "b9", 404).Body = `{"path":"/","timestamp":"t","statusCode":404,"error":"Not Found","message":"no"}`
			return endServe(s)
		}},
		badStory{"error-shape", "empty body", func() *story { // which only the API has
			s := fresh()
			c := s.op(model.OpAttach, "b9", 404)
			c.Exec, c.ExecID, c.Body = "e9", "X", ""
			return endServe(s)
		}},
	)
	good["errors in envelopes"] = func() *story {
		s := fresh()
		s.op(model.OpGet, "b9", 404).Body = envelope("not_found")
		s.wait(time.Millisecond)
		c := s.op(model.OpAttach, "b9", 404)
		c.Exec, c.ExecID, c.Body = "e9", "X", envelope("not_found")
		return endServe(s)
	}
}
