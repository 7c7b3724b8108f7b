package repro

import (
	"slices"
	"strings"
	"time"

	"chaos/actions"
	"chaos/model"
)

// The time after which a session that goes on is called silent, and for which a refused one is tried again.
const (
	resolve = 6 * time.Second
	grace   = 250 * time.Millisecond
	slot    = 6 * time.Second
)

// maxInput is how much input a session sends before it begins to read.
const maxInput = 16 << 10

func (b *builder) session(ref model.Ref, args model.Args) (*Session, error) {
	pay, ok := b.pay[ref]
	if !ok {
		return nil, cannot("it attaches to an exec that no step starts")
	}
	s := &Session{ReadOnly: args.Has("ro"), Cut: args.Int("cut"), Slow: args.Duration("slow").Seconds(), Exit: pay.Exit, Input: string(pay.Input()),
		Limit: (resolve + args.Duration("slow") + pay.Within(grace)).Seconds(), Runs: pay.Least().Seconds(), Killed: b.disturbed(ref)}
	if args.Has("again") {
		s.Again = slot.Seconds()
	}
	if len(s.Input) > maxInput {
		return nil, cannot("%s reads more input than a program sends; replay it with chaos replay", ref)
	}
	s.Out, s.Err = b.lines(ref, pay, model.Out), b.lines(ref, pay, model.Err)
	return s, nil
}

// lines returns what exec ref writes to stream when nothing is wrong.
func (b *builder) lines(ref model.Ref, pay model.Payload, stream byte) Lines {
	l := Lines{Token: pay.Token, Stream: string(stream), N: pay.Count(stream), EOL: "\n", Seed: pay.Seed(stream)}
	if pay.TTY {
		l.EOL = "\r\n"
	}
	if pay.UTF8 {
		l.Text = model.UTF8Text
	}
	told := model.Told{}
	if token := b.writer(ref, pay.Read); token != "" {
		told[model.TellRead] = model.Tell{Value: model.FileValue(token, pay.Read)}
	}
	bare := pay
	bare.Stdout, bare.Stdin = 0, 0
	if stream == model.Out {
		l.Head = string(bare.ExpectedTelling(model.Out, told))
	}
	if stream == model.Out && pay.Stdin > 0 {
		bare.Stdin = pay.Stdin
		l.Foot = strings.TrimPrefix(string(bare.ExpectedTelling(model.Out, told)), l.Head)
	}
	return l
}

// writer returns the token of the exec that wrote file last before ref reads it, "" if none did.
func (b *builder) writer(ref model.Ref, file string) string {
	out := ""
	for _, s := range b.plan.Steps {
		switch {
		case s.Bind == ref:
			return out
		case file != "" && s.Action == "exec" && s.On == b.boxOf[ref] && s.Args.Get("write") == file:
			out = actions.PayloadOf(token, s).Token
		}
	}
	return out
}

// disturbed reports whether anything but its command may end exec ref.
func (b *builder) disturbed(ref model.Ref) bool {
	i := slices.IndexFunc(b.plan.Steps, func(s model.Step) bool { return s.Bind == ref })
	start := b.plan.Steps[i]
	for j, s := range b.plan.Steps {
		switch s.Action {
		case "kill", "signal":
			if s.On == ref {
				return true
			}
		case "stop", "restart", "remove":
			if s.On == start.On && (s.Client != start.Client || j > i && start.Args.Has("attach")) {
				return true
			}
		}
	}
	return start.Args.Has("timeout")
}
