package invariants

import (
	"bytes"
	"fmt"

	"chaos/model"
)

type inputExact struct{}

var _ = register(inputExact{})

func (inputExact) Name() string { return "input-exact" }

func (inputExact) Promise() string {
	return "What a client sends on an attach session reaches the command's standard input once, in order and whole, and the end of the input after all of it."
}

func (inputExact) Source() string {
	return "BoxLite attach protocol: binary frames are stdin bytes, stdin_eof ends them"
}

func (inputExact) Check(f *Facts) []Finding {
	var out []Finding
	for _, x := range f.execs {
		if x.Start.Payload.Stdin == 0 {
			continue
		}
		for _, s := range x.Attaches {
			if bad := f.inputDamage(x, s); bad != nil {
				out = append(out, *bad)
				break // the others repeat what the command has read once
			}
		}
	}
	return out
}

// inputDamage compares what the command says it has read, as session s carried it, with what was sent.
func (f *Facts) inputDamage(x *Exec, s *model.Call) *Finding {
	p := x.Start.Payload
	if s.Attach == nil || x.lossy(s, model.Out) {
		return nil
	}
	back := p.ReadBack(s.Attach.Bytes(model.Out))
	damage, msg := Compare(bytes.TrimSuffix(p.Input(), []byte("\n")), back.Input, p.Token)
	// Until the command says that its input is over, more may come.
	over := back.Told >= 0 && back.Told == back.Lines
	if damage == Intact || damage == Truncated && !(over && f.inputSure(x)) {
		return nil
	}
	return &Finding{Call: s, Detail: string(damage), State: f.stateName(x.Start), Also: []*model.Call{x.Start},
		Message: fmt.Sprintf("input of %s, as %s shows it: %s", label(x.Start), label(s), msg),
		Allowed: fmt.Sprintf("exactly the %d lines that were sent", p.Stdin), Got: string(damage) + ": " + msg}
}

// inputSure reports whether all of the input and then its end reached the server: one session sent
// both and was not cut, nobody disturbed the exec, and nobody else ended its input before.
func (f *Facts) inputSure(x *Exec) bool {
	var feeder *model.Call
	for _, s := range x.Attaches {
		if s.Attach != nil && s.Attach.Sent > 0 {
			feeder = s
		}
	}
	if feeder == nil || feeder.Attach.Sent < len(x.Start.Payload.Input()) || !feeder.Attach.EndedInput() || !f.Undisturbed(x, feeder) {
		return false
	}
	for _, s := range x.Attaches {
		if s != feeder && s.Attach != nil && s.Attach.EOF != 0 && s.Attach.Opened < feeder.Return {
			return false
		}
	}
	return true
}
