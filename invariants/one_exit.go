package invariants

import (
	"fmt"

	"chaos/model"
)

type oneExit struct{}

var _ = register(oneExit{})

func (oneExit) Name() string { return "one-exit" }

func (oneExit) Promise() string {
	return "Every exec ends with exactly one exit, after all of its output, with the command's own code, the same in the attach frame and in GET."
}

func (oneExit) Source() string {
	return "BoxLite attach protocol (exit frame, then close) and ExecutionInfo; PR 1546, PR 1569"
}

func (oneExit) Check(f *Facts) []Finding {
	var out []Finding
	for _, x := range f.execs {
		for _, s := range x.Attaches {
			if s.Attach != nil {
				out = append(out, f.sessionExit(x, s)...)
			}
		}
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
		case len(exits) > 0:
			after = fr.Kind
		}
	}
	whole := !s.Attach.Cut && !s.Attach.TimedOut && f.Undisturbed(x, s)
	want := x.Start.Payload.Exit
	finding := func(detail, got string) []Finding {
		return []Finding{{Call: s, State: f.stateName(x.Start), Detail: detail, Also: []*model.Call{x.Start}, Got: got,
			Message: fmt.Sprintf("%s of %s: %s", label(s), label(x.Start), got), Allowed: fmt.Sprintf("one exit frame with code %d, last", want)}}
	}
	switch {
	case len(exits) > 1:
		return finding("more than one exit", fmt.Sprintf("%d exit frames", len(exits)))
	case after != "":
		return finding("output after exit", "a frame of kind "+after+" after the exit frame")
	case whole && len(exits) == 0:
		return finding("no exit", fmt.Sprintf("the session ended without an exit frame, close code %d", s.Attach.Close))
	case whole && exits[0].Exit != want:
		return finding("wrong code", fmt.Sprintf("exit code %d", exits[0].Exit))
	}
	return nil
}

// sameExit checks that every place that tells the exit code tells the same one.
func (f *Facts) sameExit(x *Exec) []Finding {
	var first *model.Call
	var code int
	var out []Finding
	tell := func(c *model.Call, exit int) {
		switch {
		case first == nil:
			first, code = c, exit
		case !sameCode(code, exit):
			out = append(out, Finding{Call: c, State: noState, Action: model.OpInfo, Detail: "codes differ", Also: []*model.Call{first, x.Start},
				Message: fmt.Sprintf("%s says that %s ended with %d, %s says %d", label(c), label(x.Start), exit, label(first), code),
				Allowed: fmt.Sprintf("%d everywhere", code), Got: fmt.Sprint(exit)})
		}
	}
	for _, s := range x.Attaches {
		if s.Attach == nil {
			continue
		}
		if fr, ok := s.Attach.Exit(); ok {
			tell(s, fr.Exit)
		}
	}
	for _, i := range x.Infos {
		switch {
		case !i.View.Terminal():
		case i.View.Exit != nil:
			tell(i, *i.View.Exit)
		default:
			out = append(out, Finding{Call: i, State: noState, Detail: "no code", Also: []*model.Call{x.Start},
				Message: fmt.Sprintf("%s says that %s has ended but not with which code", label(i), label(x.Start))})
		}
	}
	return out
}

// sameCode compares exit codes modulo the two ways to tell death by a signal: −N and 128+N.
func sameCode(a, b int) bool {
	norm := func(x int) int {
		if x < 0 {
			return 128 - x
		}
		return x
	}
	return norm(a) == norm(b)
}
