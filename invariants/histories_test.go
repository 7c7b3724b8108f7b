package invariants_test

import (
	"slices"
	"strings"
	"time"

	"chaos/model"
)

// lived is the good story that most bad ones are made from by one change.
func lived() *story {
	s := begin()
	s.create("b1")
	s.exec("e1", "b1", model.Payload{Stdout: 20, Stderr: 3, Exit: 7})
	s.attach("e1", nil)
	s.info("e1", 7)
	s.look("b1", "running")
	s.list("b1", "running")
	return s
}

func end(s *story) *story {
	s.remove("b1")
	s.look("b1", "")
	s.list()
	return s
}

// badStory breaks the promise of invariant in the way that detail says.
type badStory struct {
	invariant, detail string
	make              func() *story
}

// good are histories that the contract allows, among them all those in which it allows several answers.
var good = map[string]func() *story{
	"a whole life": func() *story { return end(lived()) },
	"stopped, refused, started again": func() *story {
		s := lived()
		s.op(model.OpStop, "b1", 201)
		s.look("b1", "running")
		s.look("b1", "stopping")
		s.look("b1", "stopped")
		s.op(model.OpExec, "b1", 409)
		s.op(model.OpStop, "b1", 400)
		s.op(model.OpStart, "b1", 201)
		s.exec("e2", "b1", model.Payload{Stdout: 1})
		s.attach("e2", nil)
		return end(s)
	},
	"an exec cut off by a stop loses its end": func() *story {
		s := lived()
		s.exec("e2", "b1", model.Payload{Stdout: 10, Sleep: time.Second})
		s.op(model.OpStop, "b1", 201)
		a := s.attach("e2", func(o, e string) (string, string) { return o[:30], e }).Attach
		a.Frames[1].Exit = 137
		s.info("e2", -9)
		return end(s)
	},
	"a killed exec, told two ways": func() *story {
		s := lived()
		s.exec("e2", "b1", model.Payload{Sleep: time.Second})
		c := s.onExec(model.OpSignal, "e2", 204)
		c.Signal = 15
		s.attach("e2", nil).Attach.Frames[0].Exit = 143
		s.info("e2", -15)
		return end(s)
	},
	"death by the first signal, told two ways": func() *story {
		s := lived()
		s.exec("e2", "b1", model.Payload{Sleep: time.Second})
		s.onExec(model.OpSignal, "e2", 204).Signal = 1
		s.attach("e2", nil).Attach.Frames[0].Exit = 129
		s.info("e2", -1)
		return end(s)
	},
	"a session cut within a line about the size": func() *story {
		s := lived()
		s.exec("e2", "b1", model.Payload{TTY: true, Watch: 100 * time.Millisecond})
		c := s.attach("e2", func(string, string) (string, string) { return "t-1.e2 size 24 80\r\nt-1.e2 size 4", "" })
		c.Attach.Cut, c.Attach.Frames = true, c.Attach.Frames[:1]
		c = s.attach("e2", func(string, string) (string, string) { return "t-1.e2 si", "" })
		c.Attach.Cut, c.Attach.Frames = true, c.Attach.Frames[:1]
		return end(s)
	},
	"a refusal too long to keep": func() *story {
		s := end(lived())
		s.op(model.OpStop, "b1", 404).Body = `{"error":"` + strings.Repeat("x", model.MaxBody-10)
		return s
	},
	"a session that was cut, and one after it": func() *story {
		s := lived()
		s.exec("e2", "b1", model.Payload{Stdout: 50})
		c := s.attach("e2", func(o, e string) (string, string) { return o[:100], e })
		c.Attach.Cut, c.Attach.Frames = true, c.Attach.Frames[:1]
		s.attach("e2", nil)
		return end(s)
	},
	"two creates of one name, one refused": func() *story {
		s := begin()
		s.createAs("b1", "n1")
		c := s.op(model.OpCreate, "b2", 409)
		c.Name, c.Variant = "t-1-n1", "shared-name"
		return end(s)
	},
	"a name used again after its box was removed": func() *story {
		s := begin()
		s.createAs("b1", "n1")
		s.remove("b1")
		s.createAs("b2", "n1")
		s.remove("b2")
		return s
	},
	"a resize in time, kept": func() *story {
		s := lived()
		s.exec("e2", "b1", model.Payload{TTY: true, Watch: 100 * time.Millisecond})
		c := s.onExec(model.OpResize, "e2", 204)
		c.Rows, c.Cols = 40, 120
		s.now += 200
		s.attach("e2", func(string, string) (string, string) {
			return "t-1.e2 size 24 80\r\nt-1.e2 size 40 120\r\nt-1.e2 last 40 120\r\n", ""
		})
		return end(s)
	},
	"a create that was never answered, listed later": func() *story {
		s := lived()
		c := s.op(model.OpCreate, "b2", 0)
		c.Outcome, c.Name, c.BoxID = model.Unknown, "t-1-b2", ""
		c.GaveUp = true
		l := s.list("b1", "running")
		l.Boxes = append(l.Boxes, model.BoxView{ID: "IDb2", Name: "t-1-b2", Status: "running"})
		return end(s)
	},
	"refusals of what must be refused": func() *story {
		s := lived()
		s.op(model.OpCreate, "b2", 400).Variant = "cpus-zero"
		s.op(model.OpProbe, "b1", 401)
		s.op(model.OpExec, "b1", 422).Variant = "missing-binary"
		s.onExec(model.OpSignal, "e1", 400).Variant = "not-allowed"
		s.onExec(model.OpResize, "e1", 400).Variant = "no-terminal"
		c := s.onExec(model.OpAttach, "e9", 404)
		c.Body = " "
		return end(s)
	},
}

// bad are histories that break one promise each, with the detail the violation must have.
var bad = slices.Concat(badBasics, badAccess, badQuota, badBodies, badCounters)

var badBasics = []badStory{
	{"typed-errors", "500", func() *story {
		s := lived()
		s.op(model.OpStop, "b1", 201)
		s.look("b1", "stopped")
		s.op(model.OpExec, "b1", 500)
		return end(s)
	}},
	{"allowed-answers", "409", func() *story { s := lived(); s.op(model.OpExec, "b1", 409); return end(s) }},
	{"allowed-answers", "201", func() *story {
		s := end(lived())
		s.op(model.OpExec, "b1", 201)
		return s
	}},
	{"allowed-answers", "cpus-zero 201", func() *story {
		s := lived()
		s.create("b2").Variant = "cpus-zero"
		s.remove("b2")
		return end(s)
	}},
	{"allowed-answers", "no-terminal 204", func() *story {
		s := lived()
		s.onExec(model.OpResize, "e1", 204).Variant = "no-terminal"
		return end(s)
	}},
	{"allowed-answers", "200", func() *story {
		s := end(lived())
		s.add(model.Call{Op: model.OpInfo, Exec: "e9", ExecID: "nothing", Status: 200})
		return s
	}},
	{"error-shape", "plain text", func() *story { s := end(lived()); s.op(model.OpStop, "b1", 404).Body = "not found"; return s }},
	{"error-shape", "empty body", func() *story { s := end(lived()); s.op(model.OpStop, "b1", 404).Body = " "; return s }},
	{"error-shape", "status 404 says 500", func() *story {
		s := end(lived())
		s.op(model.OpStop, "b1", 404).Body = `{"statusCode":500,"error":"x","message":"m"}`
		return s
	}},
	{"error-shape", "status 404 with code internal", func() *story {
		s := end(lived())
		s.op(model.OpStop, "b1", 404).Body = `{"error":{"message":"m","type":"T","code":"internal"}}`
		return s
	}},
	{"output-complete", "truncated, first attach", output(func(o, e string) (string, string) { return o[:len(o)-9], e })},
	{"output-complete", "truncated, first attach", output(func(o, _ string) (string, string) { return o, "" })},
	{"output-complete", "missing, first attach", output(func(o, e string) (string, string) { return o[:100] + o[300:], e })},
	{"output-complete", "truncated, attach again", func() *story {
		s := lived()
		s.attach("e1", func(o, e string) (string, string) { return "", e })
		return end(s)
	}},
	{"output-exact", "duplicated, first attach", output(func(o, e string) (string, string) { return o[:200] + o[100:], e })},
	{"output-exact", "reordered, first attach", output(func(o, e string) (string, string) { return o[:100] + o[200:300] + o[100:200] + o[300:], e })},
	{"output-exact", "corrupt, first attach", output(func(o, e string) (string, string) { return strings.Replace(o, "000004", "0000?4", 1), e })},
	{"output-exact", "duplicated, first attach", output(func(o, e string) (string, string) { return o + o[len(o)-80:], e })},
	{"output-own", "foreign, first attach", output(func(o, e string) (string, string) { return o[:90] + foreignLine("t-1.e8", model.Out) + o[90:], e })},
	{"output-own", "foreign, first attach", output(func(o, e string) (string, string) { return o, e + foreignLine("t-0.e1", model.Err) })},
	{"one-exit", "no exit", func() *story { s := lived(); a := s.attach("e1", nil).Attach; a.Frames = a.Frames[:2]; return end(s) }},
	{"one-exit", "more than one exit", func() *story {
		s := lived()
		a := s.attach("e1", nil).Attach
		a.Frames = append(a.Frames, a.Frames[2])
		return end(s)
	}},
	{"one-exit", "output after exit", func() *story {
		s := lived()
		a := s.attach("e1", nil).Attach
		a.Frames[1], a.Frames[2] = a.Frames[2], a.Frames[1]
		return end(s)
	}},
	{"one-exit", "wrong code", func() *story {
		s := begin()
		s.create("b1")
		s.exec("e1", "b1", model.Payload{Exit: 7})
		s.attach("e1", nil).Attach.Frames[0].Exit = 0
		return end(s)
	}},
	{"one-exit", "codes differ", func() *story { s := lived(); s.info("e1", 0); return end(s) }},
	{"one-exit", "no code", func() *story { s := lived(); s.info("e1", 0).View.Exit = nil; return end(s) }},
	{"exec-resolves", "attach session silent", func() *story {
		s := lived()
		s.exec("e2", "b1", model.Payload{})
		a := s.attach("e2", nil).Attach
		a.Frames, a.TimedOut = nil, true
		return end(s)
	}},
	{"exec-resolves", "still running", func() *story {
		s := lived()
		s.exec("e2", "b1", model.Payload{})
		s.now += 5000
		s.onExec(model.OpInfo, "e2", 200).View = &model.ExecView{Status: "running"}
		return end(s)
	}},
	{"status-truth", "running", func() *story {
		s := lived()
		s.op(model.OpStop, "b1", 201)
		s.look("b1", "stopped")
		s.look("b1", "running")
		return end(s)
	}},
	{"status-truth", "stays running", func() *story {
		s := lived()
		s.op(model.OpStop, "b1", 201)
		s.now += 5000
		s.look("b1", "running")
		return end(s)
	}},
	{"status-truth", "not there (404)", func() *story { s := lived(); s.look("b1", ""); return end(s) }},
	{"list-truth", "shows it as running", func() *story { s := end(lived()); s.list("b1", "running"); return s }},
	{"list-truth", "lacks it", func() *story { s := lived(); s.list(); return end(s) }},
	{"unique-names", "one name, two boxes", func() *story {
		s := begin()
		s.createAs("b1", "n1")
		s.createAs("b2", "n1")
		s.remove("b2")
		return end(s)
	}},
	{"unique-names", "refused a free name", func() *story {
		s := lived()
		c := s.op(model.OpCreate, "b2", 409)
		c.Name, c.Variant = "t-1-n1", "shared-name"
		return end(s)
	}},
	{"unique-names", "id given twice", func() *story {
		s := lived()
		s.exec("e2", "b1", model.Payload{}).ExecID = "Xe1"
		return end(s)
	}},
	{"journal-path", "exec not started by the runner", func() *story {
		s := lived()
		s.add(model.Call{Op: model.OpExec, Box: "b1", BoxID: "IDb1", Exec: "e2", ExecID: "Xe2", Status: 201, Payload: &model.Payload{Token: "t-1.e2"}})
		return end(s)
	}},
	{"journal-path", "box not made by the runner", func() *story { s := end(lived()); s.h.Journal.Entries = s.h.Journal.Entries[1:]; return s }},
	{"journal-path", "box not destroyed by the runner", func() *story {
		s := lived()
		s.op(model.OpRemove, "b1", 204)
		return s
	}},
	{"journal-path", "box nobody asked for", func() *story { s := end(lived()); s.h.Journal.Foreign = []string{"IDx"}; return s }},
	{"nothing-left", "process left", func() *story {
		s := end(lived())
		s.h.Residue = []model.Residue{{BoxID: "IDb1", What: "process 4711: sleep 60"}}
		return s
	}},
	{"nothing-left", "record left by a refused create", func() *story {
		s := lived()
		c := s.op(model.OpCreate, "b2", 400)
		c.Name, c.Variant = "t-1-b2", "unknown-image"
		l := s.list("b1", "running")
		l.Boxes = append(l.Boxes, model.BoxView{ID: "IDb2", Name: "t-1-b2", Status: "unknown"})
		return end(s)
	}},
	{"terminal-size", "rows and columns exchanged", resized("t-1.e2 size 24 80\r\nt-1.e2 size 120 40\r\nt-1.e2 last 120 40\r\n")},
	{"terminal-size", "a size nobody asked for", resized("t-1.e2 size 24 80\r\nt-1.e2 size 41 120\r\nt-1.e2 last 41 120\r\n")},
	{"terminal-size", "not the last size asked for", resized("t-1.e2 size 24 80\r\nt-1.e2 last 24 80\r\n")},
}

func foreignLine(token string, stream byte) string {
	return string(model.Payload{Token: token, Stdout: 1, Stderr: 1}.Expected(stream))
}

// output is the good story with the output of its first attach changed.
func output(edit func(o, e string) (string, string)) func() *story {
	return func() *story {
		s := begin()
		s.create("b1")
		s.exec("e1", "b1", model.Payload{Stdout: 20, Stderr: 3})
		s.attach("e1", edit)
		return end(s)
	}
}

// resized is a watching exec that was resized in time and wrote text.
func resized(text string) func() *story {
	return func() *story {
		s := lived()
		s.exec("e2", "b1", model.Payload{TTY: true, Watch: 100 * time.Millisecond})
		c := s.onExec(model.OpResize, "e2", 204)
		c.Rows, c.Cols = 40, 120
		s.now += 200
		s.attach("e2", func(string, string) (string, string) { return text, "" })
		return end(s)
	}
}
