package invariants_test

import (
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/model"
)

// How execs end: each bad story here stands beside a good one that differs in one thing.
func init() {
	maps.Copy(good, goodEndings)
	bad = append(bad, badEndings...)
}

// half cuts both streams where a command pauses.
func half(o, e string) (string, string) { return o[:len(o)/2], e[:len(e)/2] }

// ending tells of one exec: what it runs, how long after its start the rest begins, and the rest.
func ending(p model.Payload, after int64, rest func(s *story)) func() *story {
	return func() *story {
		s := begin()
		s.h.Meta.Limits.Grace = 200 * time.Millisecond
		s.create("b1")
		s.exec("e1", "b1", p)
		s.now += after
		rest(s)
		return end(s)
	}
}

// session is a whole attach session that began when the exec had started and tells code.
func (s *story) session(code int, edit func(o, e string) (string, string)) *model.Call {
	c := s.attach("e1", edit)
	c.Attach.Frames[len(c.Attach.Frames)-1].Exit = code
	c.Invoke = s.h.Calls[1].Return + ms/2
	return c
}

// quit takes the exit off a session, which is closed with code.
func quit(c *model.Call, code int) {
	c.Attach.Frames, c.Attach.Close = c.Attach.Frames[:len(c.Attach.Frames)-1], code
}

func (s *story) status(status string, exit int) *model.Call {
	c := s.info("e1", exit)
	c.View.Status = status
	return c
}

func (s *story) running() *model.Call {
	c := s.onExec(model.OpInfo, "e1", 200)
	c.View = &model.ExecView{Status: "running"}
	return c
}

func (s *story) kill() *model.Call { return s.onExec(model.OpKill, "e1", 204) }

func (s *story) signal(n int) *model.Call {
	c := s.onExec(model.OpSignal, "e1", 204)
	c.Signal = n
	return c
}

var (
	short   = model.Payload{Stdout: 4, Exit: 3}
	paused  = model.Payload{Stdout: 4, Sleep: time.Second}
	deaf    = model.Payload{Stdout: 4, Sleep: time.Second, Deaf: true}
	endless = model.Payload{Stdout: 4, Sleep: time.Minute, Timeout: 100 * time.Millisecond}
	racing  = model.Payload{Stdout: 4, Sleep: 100 * time.Millisecond, Timeout: 100 * time.Millisecond}
	ample   = model.Payload{Stdout: 4, Sleep: 50 * time.Millisecond, Timeout: 5 * time.Second}
)

var goodEndings = map[string]func() *story{
	"ended by its time limit":            ending(endless, 100, func(s *story) { s.session(143, half); s.status("timed_out", -15) }),
	"killed after its time limit":        ending(endless, 300, func(s *story) { s.session(137, half); s.status("completed", 137) }),
	"still running within its limit":     ending(endless, 1000, func(s *story) { s.running(); s.session(1, half) }),
	"a limit that is not reached":        ending(ample, 50, func(s *story) { s.session(0, nil); s.info("e1", 0) }),
	"a limit that came too late":         ending(racing, 100, func(s *story) { s.session(0, nil) }),
	"a limit that came just in time":     ending(racing, 100, func(s *story) { s.session(124, half) }),
	"a signal that kills":                ending(paused, 0, func(s *story) { s.signal(15); s.session(143, half); s.info("e1", -15) }),
	"a signal that is ignored":           ending(deaf, 0, func(s *story) { s.signal(15); s.now += 1000; s.session(0, nil); s.info("e1", 0) }),
	"an interrupt that a shell outwaits": ending(paused, 0, func(s *story) { s.signal(2); s.now += 1000; s.session(0, nil) }),
	"a signal after the end":             ending(paused, 1000, func(s *story) { s.signal(15); s.session(0, nil) }),
	"a window change":                    ending(paused, 1000, func(s *story) { s.signal(28); s.session(0, nil) }),
	"killed, told one way":               ending(paused, 0, func(s *story) { s.kill(); s.session(137, half) }),
	"killed, told another way":           ending(paused, 0, func(s *story) { s.kill(); s.session(-9, half) }),
	"killed, and the code lost":          ending(paused, 0, func(s *story) { s.kill(); s.session(-1, half) }),
	"killed too late":                    ending(paused, 1000, func(s *story) { s.kill(); s.session(0, nil) }),
	"killed while it was looked at": ending(paused, 0, func(s *story) {
		k := s.kill()
		c := s.status("killed", 137)
		c.View.Exit = nil
		c.Invoke, c.Return = k.Invoke+ms/2, k.Return+ms
		s.onExec(model.OpInfo, "e1", 404)
		s.onExec(model.OpAttach, "e1", 409)
	}),
	"a session lost with its box":  ending(paused, 0, func(s *story) { s.op(model.OpStop, "b1", 201); quit(s.session(0, half), 1001) }),
	"a code lost with its box":     ending(paused, 0, func(s *story) { s.op(model.OpStop, "b1", 201); s.session(-1, half) }),
	"forgotten with its box":       ending(short, 0, func(s *story) { s.op(model.OpStop, "b1", 201); s.onExec(model.OpInfo, "e1", 404) }),
	"closed without a code":        ending(short, 0, func(s *story) { s.session(3, nil).Attach.Close = 1005 }),
	"an exit at the last moment":   ending(short, 990, func(s *story) { a := s.session(3, nil).Attach; a.Close, a.TimedOut = 0, true }),
	"looked at before and after":   ending(short, 0, func(s *story) { s.running(); s.session(3, nil); s.info("e1", 3) }),
	"looked at while it ended":     ending(short, 0, func(s *story) { c := s.session(3, nil); i := s.running(); i.Invoke = c.Return - 2*ms }),
	"second attach refused":        ending(short, 0, func(s *story) { s.session(3, nil); s.onExec(model.OpAttach, "e1", 409); s.session(3, nil) }),
	"two attaches, one refused":    ending(short, 0, func(s *story) { c := s.onExec(model.OpAttach, "e1", 409); s.session(3, nil).Invoke = c.Return - ms }),
	"forgotten after five minutes": ending(short, 300_000, func(s *story) { s.onExec(model.OpInfo, "e1", 404); s.onExec(model.OpAttach, "e1", 404) }),
	"a command that is not there": func() *story {
		s := begin()
		s.create("b1")
		c := s.op(model.OpExec, "b1", 422)
		c.Variant, c.Payload = "missing-binary", &model.Payload{Token: "t-1.e1", Binary: "no"}
		return end(s)
	},
}

var badEndings = []badStory{
	{"one-exit", "wrong code, time limit", ending(endless, 100, func(s *story) { s.session(0, half) })},
	{"one-exit", "wrong code, time limit", ending(endless, 100, func(s *story) { s.status("timed_out", 0) })},
	{"exec-resolves", "still running", ending(endless, 1400, func(s *story) { s.running(); s.session(143, half) })},
	{"one-exit", "wrong code", ending(ample, 50, func(s *story) { s.session(143, half) })},
	{"output-complete", "truncated, first attach", ending(ample, 50, func(s *story) { s.session(0, half) })},
	{"one-exit", "own code of a command that was cut short", ending(racing, 100, func(s *story) { s.session(0, half) })},
	{"one-exit", "wrong code, signalled", ending(paused, 0, func(s *story) { s.signal(15); s.session(0, half) })},
	{"one-exit", "wrong code, signalled", ending(paused, 0, func(s *story) { s.signal(15); s.now += 1000; s.session(0, nil) })},
	{"one-exit", "wrong code, signalled", ending(paused, 0, func(s *story) { s.signal(10); s.info("e1", 143) })},
	{"one-exit", "wrong code, signalled", ending(paused, 0, func(s *story) { s.signal(15); s.session(-1, half) })},
	{"one-exit", "own code of a command that was cut short", ending(paused, 0, func(s *story) { s.signal(2); s.now += 1000; s.session(0, half) })},
	{"one-exit", "wrong code", ending(paused, 1000, func(s *story) { s.signal(28); s.session(143, half) })},
	{"one-exit", "wrong code, killed", ending(paused, 0, func(s *story) { s.kill(); s.session(0, half) })},
	{"one-exit", "wrong code, killed", ending(paused, 1000, func(s *story) { s.kill(); s.session(1, nil) })},
	{"one-exit", "wrong code, box changed", ending(short, 0, func(s *story) { s.op(model.OpStop, "b1", 201); s.session(1, half) })},
	{"one-exit", "wrong code", ending(short, 0, func(s *story) { s.session(-1, nil) })},
	{"one-exit", "wrong code", ending(short, 0, func(s *story) { s.info("e1", 0) })},
	{"one-exit", "no exit, killed", ending(paused, 0, func(s *story) { c := s.session(0, half); quit(c, 1001); s.kill().Invoke = c.Return - ms })},
	{"one-exit", "no exit, signalled", ending(paused, 0, func(s *story) { s.signal(15); quit(s.session(0, half), 1000) })},
	{"one-exit", "no exit, time limit", ending(endless, 100, func(s *story) { quit(s.session(0, half), 0) })},
	{"one-exit", "no exit", ending(short, 0, func(s *story) { quit(s.session(0, nil), 1011) })},
	{"one-exit", "no close", ending(short, 0, func(s *story) { s.session(3, nil).Attach.Close = 0 })},
	{"one-exit", "close 1011", ending(short, 0, func(s *story) { s.session(3, nil).Attach.Close = 1011 })},
	{"one-exit", "no close", ending(short, 0, func(s *story) {
		c := s.session(3, nil)
		c.Attach.Close, c.Attach.TimedOut = 0, true
		s.now += 1000
		c.Return += 1000 * ms
	})},
	{"one-exit", "error frame", ending(short, 0, func(s *story) {
		a := s.session(3, nil).Attach
		a.Frames = append([]model.Frame{{Kind: model.FrameError, Data: []byte("no")}}, a.Frames...)
	})},
	{"one-exit", "other frame", ending(short, 0, func(s *story) {
		a := s.session(3, nil).Attach
		a.Frames = append([]model.Frame{{Kind: model.FrameOther, Data: []byte("\x03x")}}, a.Frames...)
	})},
	{"exec-status", "running after its end", ending(short, 0, func(s *story) { s.session(3, nil); s.running() })},
	{"exec-status", "running after its end", ending(short, 0, func(s *story) { s.info("e1", 3); s.running() })},
	{"exec-status", "killed by nobody", ending(short, 0, func(s *story) { s.status("killed", 3) })},
	{"exec-status", "timed out before its time", ending(ample, 50, func(s *story) { s.status("timed_out", 0) })},
	{"exec-status", "no such status", ending(short, 0, func(s *story) { s.status("exited", 3) })},
	{"exec-status", "there after its deletion", ending(short, 0, func(s *story) { s.kill(); s.info("e1", 3) })},
	{"exec-status", "there after its deletion", ending(short, 0, func(s *story) { s.kill(); s.attach("e1", nil) })},
	{"exec-status", "info says 404", ending(paused, 0, func(s *story) { s.onExec(model.OpInfo, "e1", 404) })},
	{"exec-status", "info says 404", ending(short, 299_000, func(s *story) { s.onExec(model.OpInfo, "e1", 404) })},
	{"exec-status", "attach says 404", ending(short, 0, func(s *story) { s.session(3, nil); s.onExec(model.OpAttach, "e1", 404) })},
	{"exec-status", "first attach refused", ending(short, 0, func(s *story) { s.onExec(model.OpAttach, "e1", 409); s.attach("e1", nil) })},
	{"exec-status", "ended too early", ending(paused, 0, func(s *story) { s.info("e1", 0) })},
	{"exec-status", "ended too early", ending(paused, 900, func(s *story) { s.session(0, nil) })},
}

// TestJudge_AStandstillExcusesPumpsThatWereNotDrained: nobody read, because nobody could.
func TestJudge_AStandstillExcusesPumpsThatWereNotDrained(t *testing.T) {
	for code, want := range map[int]model.Status{1011: model.Inconclusive, 1001: model.Violated} {
		s := ending(short, 0, func(s *story) { quit(s.session(0, nil), code) })()
		s.h.Meta.Stalled = 10 * time.Second
		require.Equal(t, want, judge(s).Status, "close %d", code)
	}
}

// TestJudge_AServerErrorMayHaveKilled: what broke on the way may have arrived.
func TestJudge_AServerErrorMayHaveKilled(t *testing.T) {
	s := ending(paused, 0, func(s *story) { s.onExec(model.OpKill, "e1", 504); s.session(137, half) })()
	for _, x := range judge(s).Violations {
		require.NotContains(t, []string{"one-exit", "exec-status"}, x.Signature.Invariant, "%+v", x)
	}
}
