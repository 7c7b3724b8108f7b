package invariants_test

import (
	"time"

	"chaos/model"
)

// What the faults of actions/faults excuse, for stories.
var (
	lostAPI    = model.Excuse{Answers: true, Sessions: true, Reach: time.Second}
	lostRunner = model.Excuse{Answers: true, Sessions: true, Execs: true, Counters: true, Log: true, Reach: time.Second}
)

// fault breaks something for a few milliseconds.
func (s *story) fault(name string, e model.Excuse) {
	s.h.Meta.Faults = append(s.h.Meta.Faults, model.Fault{Name: name, From: s.now * ms, To: (s.now + 5) * ms, Excuse: e})
	s.now += 6
}

// unanswered makes c a call that got no answer.
func unanswered(c *model.Call) *model.Call {
	c.Outcome, c.Status, c.Body, c.Error, c.Boxes = model.Unknown, 0, "", "EOF", nil
	return c
}

func init() {
	good["a fault excuses answers that say that nobody is there"] = func() *story {
		s := begin()
		s.create("b1")
		s.fault("runner-kill", lostRunner)
		s.exec("e1", "b1", model.Payload{Stdout: 3})
		last := &s.h.Calls[len(s.h.Calls)-1]
		last.Outcome, last.Status, last.Exec, last.ExecID = model.Rejected, 503, "e1", ""
		s.h.Journal.Entries = s.h.Journal.Entries[:1]
		unanswered(s.op(model.OpStop, "b1", 201))
		s.wait(2 * time.Second)
		s.remove("b1")
		return s
	}
	good["a fault cuts the session that was open"] = func() *story {
		s := begin()
		s.create("b1")
		s.exec("e1", "b1", model.Payload{Stdout: 3})
		s.fault("api-kill", lostAPI)
		c := s.attach("e1", func(out, _ string) (string, string) { return out[:10], "" })
		c.Attach.Close, c.Attach.Frames = 0, c.Attach.Frames[:1]
		s.wait(2 * time.Second)
		s.attach("e1", nil)
		s.info("e1", 0)
		s.remove("b1")
		return s
	}
	good["a runner that comes back has forgotten its execs"] = func() *story {
		s := begin()
		s.create("b1")
		s.exec("e1", "b1", model.Payload{Stdout: 3})
		s.fault("runner-kill", lostRunner)
		s.wait(2 * time.Second)
		s.onExec(model.OpInfo, "e1", 404)
		s.onExec(model.OpAttach, "e1", 404)
		s.look("b1", "running")
		s.remove("b1")
		return s
	}
	good["a runner that is killed may not have logged what it did"] = func() *story {
		s := begin()
		s.fault("runner-kill", lostRunner)
		s.create("b1")
		s.h.Journal.Entries = nil
		s.remove("b1")
		return s
	}
	bad = append(bad,
		badStory{"typed-errors", "500", func() *story {
			s := begin() // a fault excuses that somebody is not there, not that he is confused
			s.create("b1")
			s.fault("runner-kill", lostRunner)
			s.op(model.OpStop, "b1", 500)
			s.wait(2 * time.Second)
			s.remove("b1")
			return s
		}},
		badStory{"typed-errors", "503", func() *story {
			s := begin() // long after the fault
			s.create("b1")
			s.fault("runner-kill", lostRunner)
			s.wait(2 * time.Second)
			s.op(model.OpStop, "b1", 503)
			s.remove("b1")
			return s
		}},
		badStory{"exec-status", "info says 404", func() *story {
			s := begin() // the API does not keep execs, so its death is no excuse
			s.create("b1")
			s.exec("e1", "b1", model.Payload{Stdout: 3})
			s.fault("api-kill", lostAPI)
			s.wait(2 * time.Second)
			s.onExec(model.OpInfo, "e1", 404)
			s.remove("b1")
			return s
		}},
		badStory{"status-truth", "stopped", func() *story {
			s := begin() // a box that is lost with its runner
			s.create("b1")
			s.fault("runner-kill", lostRunner)
			s.wait(2 * time.Second)
			s.look("b1", "stopped")
			s.remove("b1")
			return s
		}},
		badStory{"journal-path", "box made twice", func() *story {
			s := begin() // the API's death does not excuse that a job is done twice
			s.fault("api-kill", lostAPI)
			s.create("b1")
			s.log("created box id=coreIDb1 name=IDb1 image=alpine:latest")
			s.remove("b1")
			return s
		}},
	)
}
