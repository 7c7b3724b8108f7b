package invariants_test

import (
	"time"

	"chaos/model"
)

// story builds a history call by call. Time runs in milliseconds; each call takes two, and the next
// begins one later, unless during says otherwise.
type story struct {
	h   *model.History
	now int64
}

const ms = int64(time.Millisecond)

func begin() *story {
	return &story{h: &model.History{
		Plan: model.Plan{},
		Meta: model.Meta{Profile: "cloud", Token: "t-1", ExecLogged: true, ResidueChecked: true,
			Limits: model.Limits{Call: time.Second, Resolve: time.Second, Converge: time.Second, Slot: time.Second, Stall: time.Second}},
		Journal: model.Journal{Kind: "file"},
	}}
}

// under puts the story under the contract of profile with flags.
func (s *story) under(profile, flags string) *story {
	s.h.Meta.Profile, s.h.Meta.Flags = profile, flags
	return s
}

// wait lets time pass.
func (s *story) wait(d time.Duration) { s.now += int64(d / time.Millisecond) }

func (s *story) add(c model.Call) *model.Call {
	c.ID = len(s.h.Calls)
	c.Client, c.Conns = "a", 1
	if c.Return == 0 {
		c.Invoke, c.Return = s.now*ms, (s.now+2)*ms
		s.now += 3
	}
	if c.Outcome == "" {
		c.Outcome = model.OK
		if c.Status >= 400 {
			c.Outcome = model.Rejected
		}
	}
	if c.Outcome == model.Rejected && c.Body == "" {
		c.Body = `{"error":"` + refusals[c.Status] + `"}`
	}
	s.h.Calls = append(s.h.Calls, c)
	return &s.h.Calls[len(s.h.Calls)-1]
}

var refusals = map[int]string{400: "invalid argument: no", 401: "who are you", 403: "not you", 429: "resource exhausted: enough", 404: "box not found: it", 409: "stopped: it", 422: "Execution error: no", 500: "oops"}

func (s *story) log(line string) {
	s.h.Journal.Entries = append(s.h.Journal.Entries, model.JournalEntry{At: s.now * ms, Unit: "boxlite-runner", Message: line})
}

func (s *story) create(ref string) *model.Call {
	id := "ID" + ref
	s.log("created box id=core" + id + " name=" + id + " image=alpine:latest")
	return s.add(model.Call{Op: model.OpCreate, Box: model.Ref(ref), BoxID: id, Name: "t-1-" + ref, Status: 201, Boxes: boxes(ref, "running")})
}

// createAs is create under a shared name.
func (s *story) createAs(ref, name string) *model.Call {
	c := s.create(ref)
	c.Name, c.Variant, c.Boxes[0].Name = "t-1-"+name, "shared-name", "t-1-"+name
	return c
}

func boxes(ref, status string) []model.BoxView {
	return []model.BoxView{{Ref: model.Ref(ref), ID: "ID" + ref, Name: "t-1-" + ref, Status: status}}
}

func (s *story) op(op, ref string, status int) *model.Call {
	return s.add(model.Call{Op: op, Box: model.Ref(ref), BoxID: "ID" + ref, Status: status})
}

func (s *story) look(ref, status string) *model.Call {
	if status == "" {
		return s.op(model.OpGet, ref, 404)
	}
	c := s.op(model.OpGet, ref, 200)
	c.Boxes = boxes(ref, status)
	return c
}

// list lists boxes given as ref, status pairs.
func (s *story) list(pairs ...string) *model.Call {
	c := s.add(model.Call{Op: model.OpList, Status: 200})
	for i := 0; i < len(pairs); i += 2 {
		c.Boxes = append(c.Boxes, boxes(pairs[i], pairs[i+1])...)
	}
	return c
}

func (s *story) remove(ref string) *model.Call {
	c := s.op(model.OpRemove, ref, 204)
	s.log("Job completed successfully job_id=1 job_type=DESTROY_BOX resource_type=box resource_id=ID" + ref)
	return c
}

func (s *story) exec(ref, box string, p model.Payload) *model.Call {
	p.Token = "t-1." + ref
	s.log("exec started box_id=ID" + box + " execution_id=X" + ref)
	return s.add(model.Call{Op: model.OpExec, Box: model.Ref(box), BoxID: "ID" + box, Exec: model.Ref(ref), ExecID: "X" + ref, Status: 201, Payload: &p})
}

func (s *story) onExec(op, ref string, status int) *model.Call {
	return s.add(model.Call{Op: op, Box: "b1", BoxID: "IDb1", Exec: model.Ref(ref), ExecID: "X" + ref, Status: status})
}

// attach adds a whole session that carries what the payload writes, changed by edit.
func (s *story) attach(ref string, edit func(out, err string) (string, string)) *model.Call {
	p := s.payload(ref)
	out, errOut := string(p.Expected(model.Out)), string(p.Expected(model.Err))
	if edit != nil {
		out, errOut = edit(out, errOut)
	}
	c := s.onExec(model.OpAttach, ref, 101)
	a := &model.Attach{Close: 1000}
	frame := func(kind, data string) {
		if data != "" {
			a.Frames = append(a.Frames, model.Frame{At: c.Invoke + ms, Kind: kind, Data: []byte(data)})
		}
	}
	frame(model.FrameOut, out)
	frame(model.FrameErr, errOut)
	a.Frames = append(a.Frames, model.Frame{At: c.Invoke + ms, Kind: model.FrameExit, Exit: p.Exit})
	c.Attach = a
	return c
}

func (s *story) payload(ref string) model.Payload {
	for _, c := range s.h.Calls {
		if c.Op == model.OpExec && c.Exec == model.Ref(ref) {
			return *c.Payload
		}
	}
	panic("no exec " + ref)
}

func (s *story) info(ref string, exit int) *model.Call {
	c := s.onExec(model.OpInfo, ref, 200)
	c.View = &model.ExecView{Status: "completed", Exit: &exit}
	return c
}
