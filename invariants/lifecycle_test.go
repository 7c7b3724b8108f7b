package invariants_test

import (
	"time"

	"chaos/model"
)

const autostart = "exec-on-stopped=autostart"

// stopped is a box of the cloud profile where an exec starts it, after it was stopped.
func stopped() *story {
	s := begin().under("cloud", autostart)
	s.create("b1")
	s.op(model.OpStop, "b1", 201)
	s.look("b1", "stopped")
	return s
}

// fresh is a box of boxlite serve that was never started.
func fresh() *story {
	s := begin().under("serve", "")
	s.create("b1").Boxes[0].Status = "configured"
	s.look("b1", "configured")
	return s
}

func init() {
	good["an exec starts a stopped box"] = func() *story {
		s := stopped()
		s.exec("e1", "b1", model.Payload{Stdout: 2})
		s.attach("e1", nil)
		s.look("b1", "stopped") // the record may be a little late
		s.look("b1", "running")
		return end(s)
	}
	good["a command that cannot be started may have started the box"] = func() *story {
		s := stopped()
		s.op(model.OpExec, "b1", 422).Variant = "missing-binary"
		s.look("b1", "running")
		return end(s)
	}
	good["a box that boots at its first exec, and a stop that waits"] = func() *story {
		s := fresh()
		s.exec("e1", "b1", model.Payload{Stdout: 2})
		s.attach("e1", nil)
		s.look("b1", "running")
		s.op(model.OpStop, "b1", 200)
		s.look("b1", "stopped")
		s.op(model.OpStop, "b1", 409).Body = `{"error":{"message":"box is stopped","type":"InvalidStateError","code":"invalid_state"}}`
		s.op(model.OpStart, "b1", 200)
		s.look("b1", "running")
		return endServe(s)
	}
	good["a stop without an answer that the log says never came"] = func() *story {
		s := begin()
		s.log("Executing job job_id=1 job_type=CREATE_BOX resource_type=box resource_id=IDb1")
		s.create("b1")
		givenUp(s.op(model.OpStop, "b1", 0))
		s.look("b1", "running")
		return end(s)
	}
	good["a look that the transport sent twice"] = func() *story {
		s := lived()
		s.look("b1", "running").Conns = 2
		return end(s)
	}
	good["a stop without an answer that came late"] = func() *story {
		s := begin()
		s.create("b1")
		givenUp(s.op(model.OpStop, "b1", 0))
		s.look("b1", "running")
		s.look("b1", "stopping")
		s.look("b1", "stopped")
		return end(s)
	}
	bad = append(bad,
		badStory{"status-truth", "stays stopped", func() *story {
			s := stopped()
			s.exec("e1", "b1", model.Payload{Stdout: 2})
			s.attach("e1", nil)
			s.wait(2 * time.Second)
			s.look("b1", "stopped")
			return end(s)
		}},
		badStory{"status-truth", "stopped", func() *story { // #861: stopped again under its client
			s := stopped()
			s.exec("e1", "b1", model.Payload{Stdout: 2})
			s.attach("e1", nil)
			s.look("b1", "running")
			s.look("b1", "stopped")
			return end(s)
		}},
		badStory{"status-truth", "running", func() *story {
			s := fresh()
			s.look("b1", "running")
			return endServe(s)
		}},
		badStory{"status-truth", "stopping", func() *story { // a stop that waits is over when it is answered
			s := fresh()
			s.op(model.OpStart, "b1", 200)
			s.op(model.OpStop, "b1", 200)
			s.look("b1", "stopping")
			return endServe(s)
		}},
		badStory{"status-truth", "stopped", func() *story {
			s := begin()
			s.log("Executing job job_id=1 job_type=CREATE_BOX resource_type=box resource_id=IDb1")
			s.create("b1")
			givenUp(s.op(model.OpStop, "b1", 0))
			s.look("b1", "stopped") // by nobody: the runner was never asked to
			return end(s)
		}},
		badStory{"allowed-answers", "409", func() *story {
			s := stopped()
			s.op(model.OpExec, "b1", 409)
			return end(s)
		}},
		badStory{"allowed-answers", "409", func() *story {
			s := fresh()
			s.op(model.OpExec, "b1", 409).Body = `{"error":{"message":"stopped","type":"StoppedError","code":"stopped"}}`
			return endServe(s)
		}},
	)
}

// givenUp makes c a call whose client did not wait for the answer.
func givenUp(c *model.Call) { c.Outcome, c.GaveUp = model.Unknown, true }

// endServe is end where a removal needs no second look at error bodies of another shape.
func endServe(s *story) *story {
	s.remove("b1")
	s.look("b1", "").Body = `{"error":{"message":"no such box","type":"NotFoundError","code":"not_found"}}`
	s.list()
	return s
}
