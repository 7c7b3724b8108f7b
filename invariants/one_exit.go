package invariants

import (
	"fmt"

	"chaos/model"
)

type oneExit struct{}

var _ = register(oneExit{})

func (oneExit) Name() string { return "one-exit" }

func (oneExit) Promise() string {
	return "Every exec ends with exactly one exit, after all of its output and before the close, with the code of its command or of what ended it, the same in the attach frame and in GET."
}

func (oneExit) Source() string {
	return "BoxLite attach protocol (exit frame, then close), exit codes, and ExecutionInfo; PR 1022, PR 1546, PR 1569"
}

func (oneExit) Check(f *Facts) []Finding {
	var out []Finding
	for _, x := range f.execs {
		for _, s := range x.Attaches {
			if s.Attach != nil {
				out = append(out, f.sessionExit(x, s)...)
				out = append(out, f.strangeFrame(x, s)...)
			}
		}
		out = append(out, f.wrongCode(x)...)
		out = append(out, f.sameExit(x)...)
	}
	return out
}

// sessionExit checks the exit of one attach session.
func (f *Facts) sessionExit(x *Exec, s *model.Call) []Finding {
	var exits []model.Frame
	after := ""
	for _, fr := range s.Attach.Frames {
		switch {
		case fr.Kind == model.FrameExit:
			exits = append(exits, fr)
		case len(exits) > 0 && !(fr.Kind == model.FrameError && x.sends(s)):
			after = fr.Kind
		}
	}
	finding := func(detail, got string, late bool) []Finding {
		return []Finding{{Call: s, State: f.stateName(x.Start), Detail: detail, Also: []*model.Call{x.Start}, Got: got, Late: late,
			Message: fmt.Sprintf("%s of %s: %s", label(s), label(x.Start), got), Allowed: "one exit frame, last, then a normal close"}}
	}
	switch {
	case len(exits) > 1:
		return finding("more than one exit", fmt.Sprintf("%d exit frames", len(exits)), false)
	case after != "":
		return finding("output after exit", "a frame of kind "+after+" after the exit frame", false)
	case len(exits) == 0:
		d := f.disturbed(x, s.Return)
		if !whole(s) || d.box {
			return nil // a box that goes may take the session with it
		}
		// Its pumps not being drained is how a server ends a session that nobody reads.
		return finding(unless("no exit", d), fmt.Sprintf("the session ended without an exit frame, close code %d", s.Attach.Close), s.Attach.Close == closeBroken)
	}
	if how, late := f.badClose(s, exits[0].At); how != "" {
		return finding(how, "after the exit frame: "+how, late)
	}
	return nil
}

// The WebSocket close codes that matter here.
const (
	closeNormal  = 1000
	closeNoCode  = 1005 // a close frame without a code, as boxlite serve sends it
	closeBroken  = 1011
	closeMissing = 0
)

// badClose says what is wrong with the end of a session whose exit came at the given time. The close
// follows the exit with nothing in between, so half the time that an exec has for everything is
// enough for it.
func (f *Facts) badClose(s *model.Call, exit int64) (how string, late bool) {
	a := s.Attach
	switch {
	case a.Cut, a.Slow >= patience:
	case a.TimedOut && s.Return-exit >= int64(f.Meta.Limits.Resolve/2):
		return "no close", true
	case a.TimedOut:
	case a.Close == closeMissing:
		return "no close", false
	case a.Close != closeNormal && a.Close != closeNoCode:
		return fmt.Sprintf("close %d", a.Close), false
	}
	return "", false
}

// whole reports whether the session s ran to its end: the server's doing, not ours.
func whole(s *model.Call) bool {
	return !s.Attach.Cut && !s.Attach.TimedOut && s.Attach.Slow < patience
}

// unless is detail, and what disturbed the exec if anything did.
func unless(detail string, d disturbance) string {
	if d.any() {
		return detail + ", " + d.String()
	}
	return detail
}

// sends reports whether s may have sent something: input, or its end. The answer may be an error frame,
// because the exec ends when it likes.
func (x *Exec) sends(s *model.Call) bool { return x.Start.Payload.Stdin > 0 && !s.ReadOnly }

// strangeFrame finds a frame that is neither output nor exit. Error frames answer what a client
// sends.
func (f *Facts) strangeFrame(x *Exec, s *model.Call) []Finding {
	for _, fr := range s.Attach.Frames {
		if fr.Kind == model.FrameError && !x.sends(s) || fr.Kind == model.FrameOther {
			return []Finding{{Call: s, State: f.stateName(x.Start), Detail: fr.Kind + " frame", Also: []*model.Call{x.Start},
				Message: fmt.Sprintf("%s of %s was sent a frame of kind %s: %q", label(s), label(x.Start), fr.Kind, clipBytes(fr.Data)),
				Allowed: "output and the exit", Got: fr.Kind + " frame"}}
		}
	}
	return nil
}

// told is one place that tells an exit code.
type told struct {
	call *model.Call
	code int
}

// tells lists who told an exit code of x.
func (x *Exec) tells() []told {
	var out []told
	for _, s := range x.Attaches {
		if s.Attach != nil {
			if fr, ok := s.Attach.Exit(); ok {
				out = append(out, told{s, fr.Exit})
			}
		}
	}
	for _, i := range x.Infos {
		if i.View.Terminal() && i.View.Exit != nil {
			out = append(out, told{i, *i.View.Exit})
		}
	}
	return out
}

// wrongCode finds an exit code that nothing explains.
func (f *Facts) wrongCode(x *Exec) []Finding {
	if x.Start.Variant != "" {
		return nil // a command that cannot be run should not have been accepted; nobody says what its code is
	}
	c := f.codesOf(x)
	for _, t := range x.tells() {
		detail, allowed := "", "code "+c.String()
		switch {
		case !c.allow(t.code):
			detail = unless("wrong code", c.disturbance)
		case t.code == c.own && !c.forced(t.code) && c.any() && !c.box && !c.killed && x.cutShort(t.call):
			// A kill may cut output that was written just before, but then it is no end of its own either.
			detail, allowed = "own code of a command that was cut short", "its own code only with all of its output"
		default:
			continue
		}
		return []Finding{{Call: t.call, State: f.stateName(x.Start), Detail: detail, Also: append(append([]*model.Call{x.Start}, x.Kills...), x.Signals...),
			Message: fmt.Sprintf("%s says that %s ended with %d", label(t.call), label(x.Start), t.code), Allowed: allowed, Got: fmt.Sprintf("exit code %d", t.code)}}
	}
	return nil
}

// cutShort reports whether the session s, which ran to its end, lacks the end of the output: then the
// command never came to its exit.
func (x *Exec) cutShort(s *model.Call) bool {
	if s.Attach == nil || !whole(s) {
		return false
	}
	for _, stream := range []byte{model.Out, model.Err} {
		want, got := x.compared(s, stream)
		if damage, _ := Compare(want, got, x.Start.Payload.Token); damage == Truncated && !x.lossy(s, stream) {
			return true
		}
	}
	return false
}

// sameExit checks that every place that tells the exit code tells the same one.
func (f *Facts) sameExit(x *Exec) []Finding {
	var out []Finding
	if all := x.tells(); len(all) > 0 {
		first := all[0]
		for _, t := range all[1:] {
			if !sameCode(first.code, t.code) {
				out = append(out, Finding{Call: t.call, State: noState, Action: model.OpInfo, Detail: "codes differ", Also: []*model.Call{first.call, x.Start},
					Message: fmt.Sprintf("%s says that %s ended with %d, %s says %d", label(t.call), label(x.Start), t.code, label(first.call), first.code),
					Allowed: fmt.Sprintf("%d everywhere", first.code), Got: fmt.Sprint(t.code)})
			}
		}
	}
	for _, i := range x.Infos {
		// The code of what was killed or ran out of time is optional.
		if i.View != nil && i.View.Status == "completed" && i.View.Exit == nil {
			out = append(out, Finding{Call: i, State: noState, Detail: "no code", Also: []*model.Call{x.Start},
				Message: fmt.Sprintf("%s says that %s has ended but not with which code", label(i), label(x.Start))})
		}
	}
	return out
}
