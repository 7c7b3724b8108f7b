package repro

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"chaos/model"
)

// check sets what the program looks for, by the promise that the case breaks.
func (b *builder) check() error {
	sig := b.c.Signature
	k := &b.p.Check
	k.Bad, k.Want, k.Gone = []int{}, []int{}, []int{}
	switch sig.Invariant {
	case "typed-errors", "allowed-answers":
		return b.checkAnswers(sig)
	case "error-shape":
		if !strings.HasPrefix(sig.Detail, "status ") {
			return cannot("%s about %q is not written as a check yet; replay it with chaos replay", sig.Invariant, sig.Detail)
		}
		k.Kind = "body"
		b.judge(func(c *Call) bool { return c.Op == sig.Action })
	case "access":
		k.Kind, k.Want = "status", []int{401, 403}
		b.judge(func(c *Call) bool { return c.Auth != "" && c.Auth != "other" })
	case "tenant-isolation":
		if !strings.HasSuffix(sig.Detail, "not turned away") {
			return cannot("%s about %q needs more than one answer; replay it with chaos replay", sig.Invariant, sig.Detail)
		}
		k.Kind, k.Want = "status", []int{401, 403, 404}
		b.judge(func(c *Call) bool { return c.Auth == "other" })
	case "unique-names":
		if sig.Detail != "one name, two boxes" || slices.ContainsFunc(b.p.Calls, func(c Call) bool { return c.Op == "remove" }) {
			return cannot("with boxes removed meanwhile the answers do not tell who had a name when; replay it with chaos replay")
		}
		k.Kind = "names"
	case "status-truth":
		return b.checkStatus()
	default:
		return b.checkSessions(sig)
	}
	return nil
}

// judge marks the calls that the check is about.
func (b *builder) judge(which func(*Call) bool) (n int) {
	for i := range b.p.Calls {
		if c := &b.p.Calls[i]; c.Session == nil && which(c) {
			c.Judge = true
			n++
		}
	}
	return n
}

var lastNumber = regexp.MustCompile(`(\d{3})$`)

func (b *builder) checkAnswers(sig model.Signature) error {
	k := &b.p.Check
	m := lastNumber.FindString(sig.Detail)
	if m == "" {
		return cannot("%s about %q names no status to look for", sig.Invariant, sig.Detail)
	}
	status, _ := strconv.Atoi(m)
	variant := strings.TrimSpace(strings.TrimSuffix(sig.Detail, m))
	k.Kind, k.Bad = "status", []int{status}
	if sig.State == "removed" && sig.Action == "get" {
		// The look after the removal shows it too; and so does one of the plan's own.
		k.Gone = []int{status}
		removed := map[string]string{}
		b.judge(func(c *Call) bool {
			if c.Op == "remove" {
				removed[c.Box] = c.Client
			}
			return c.Op == "get" && removed[c.Box] == c.Client
		})
		return nil
	}
	n := b.judge(func(c *Call) bool { return c.Op == sig.Action && b.variantFits(c, variant) })
	if n == 0 {
		return cannot("no step of the plan makes the request that is answered wrongly: %s", sig)
	}
	if status < 500 && n > 1 && variant == "" {
		return cannot("which of %d answers to %s must not be %d depends on the state of the box; replay it with chaos replay", n, sig.Action, status)
	}
	return nil
}

// variantFits reports whether c is the kind of request that variant names; "" fits all.
func (b *builder) variantFits(c *Call, variant string) bool {
	switch {
	case variant == "":
		return true
	case variant == "no-terminal":
		return !b.pay[model.Ref(c.Exec)].TTY
	case variant == "missing-binary":
		return b.pay[model.Ref(c.Bind)].Binary != ""
	case variant == "bad-dir":
		return strings.Contains(c.Body, "/chaos/no/such/directory")
	case variant == "not-allowed":
		return !strings.Contains(c.Body, `:15}`)
	}
	for _, s := range b.plan.Steps {
		if string(s.Bind) == c.Bind && s.Args.Get("bad") == variant {
			return true
		}
	}
	return false
}

// checkStatus expects of each box the status that its last change leads to. Changes by more than one
// client have no order.
func (b *builder) checkStatus() error {
	b.p.Check.Kind = "settled"
	auto := b.c.Profile == "serve" || b.c.Profile == "spec"
	if flags, err := model.ParseFlags(b.c.Flags); err == nil && flags[model.FlagExecOnStopped] != "" {
		auto = flags[model.FlagExecOnStopped] == model.Autostart
	}
	who := map[string]string{}
	watched := map[string]bool{} // the stop has been seen to its end
	for i := range b.p.Calls {
		c := &b.p.Calls[i]
		box, to := c.Box, ""
		switch c.Op {
		case "create":
			box, to = c.Bind, "running"
		case "start":
			to = "running"
		case "exec":
			if auto {
				to = "running"
			}
		case "stop":
			to = "stopped"
			watched[box] = c.Watch != ""
		case "remove":
			return cannot("a removed box shows no status; replay it with chaos replay")
		case "get":
			if want := b.p.Final[box]; who[box] == c.Client && (want == "running" || watched[box]) {
				c.Expect, c.Judge = want, want == "stopped"
			}
		}
		if to == "" || box == "" {
			continue
		}
		if by, ok := who[box]; ok && by != c.Client {
			return cannot("clients %s and %s change %s at the same time, so no one status is right; replay it with chaos replay", by, c.Client, box)
		}
		who[box], b.p.Final[box] = c.Client, to
	}
	return nil
}

// checkSessions is check for what attach sessions show.
func (b *builder) checkSessions(sig model.Signature) error {
	k := &b.p.Check
	quiet, killed := true, false // which sessions are judged: those nothing disturbs, those something does
	switch sig.Invariant {
	case "output-complete", "output-exact", "output-own", "input-exact":
		k.Kind = "output"
	case "isolation", "files-persist", "clean-restart":
		k.Kind = "told"
	case "one-exit":
		k.Kind, killed = "exit", strings.HasPrefix(sig.Detail, "no exit")
	case "exec-status":
		if sig.Detail != "running after its end" {
			return cannot("%s about %q needs the times of all answers; replay it with chaos replay", sig.Invariant, sig.Detail)
		}
		k.Kind, killed = "info", true
	case "terminal-size":
		if sig.Detail != "rows and columns exchanged" {
			return cannot("%s about %q needs the times of all answers; replay it with chaos replay", sig.Invariant, sig.Detail)
		}
		k.Kind, killed = "size", true
	case "single-attach":
		switch sig.Detail {
		case "two at once":
			k.Kind = "two"
		case "refused after the last session":
			k.Kind = "slot"
		default:
			return cannot("%s about %q needs the times of all answers; replay it with chaos replay", sig.Invariant, sig.Detail)
		}
	case "exec-resolves":
		if !strings.HasSuffix(sig.Detail, "silent") {
			return cannot("%s about %q needs the times of all answers; replay it with chaos replay", sig.Invariant, sig.Detail)
		}
		k.Kind, killed = "silent", true
	default:
		return cannot("%s cannot be seen in the answers of the API: it needs the runner's journal, the machine or all counters; replay it with chaos replay", sig.Invariant)
	}
	n := 0
	for i := range b.p.Calls {
		s := b.p.Calls[i].Session
		if s == nil {
			continue
		}
		s.Judge = s.Killed && killed || !s.Killed && quiet
		if pay := b.pay[model.Ref(b.p.Calls[i].Exec)]; k.Kind == "output" && (pay.Watch > 0 || max(pay.Stdout, pay.Stderr) > 5000 || pay.Read != "") {
			s.Judge = false // its output is not known beforehand, or more than a server keeps
		}
		if s.Judge {
			n++
		}
	}
	if n == 0 {
		return cannot("no attach session of the plan must carry a known output; replay it with chaos replay")
	}
	return nil
}
