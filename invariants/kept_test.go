package invariants_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/invariants"
	"chaos/model"
)

// writes adds an exec that writes f1 and says so.
func (s *story) writes(ref, box string) *model.Call {
	s.exec(ref, box, model.Payload{Write: "f1"})
	return s.attach(ref, nil)
}

// reads adds an exec that reads f1 and finds what the exec from wrote, "" for nothing.
func (s *story) reads(ref, box, from string) *model.Call {
	value := model.FileAbsent
	if from != "" {
		value = model.FileValue("t-1."+from, "f1")
	}
	return s.tells(ref, box, model.Payload{Read: "f1"}, model.FileAbsent, value)
}

// tells adds an exec that tells something else than is usual.
func (s *story) tells(ref, box string, p model.Payload, usual, value string) *model.Call {
	s.exec(ref, box, p)
	return s.attach(ref, func(o, e string) (string, string) { return strings.Replace(o, usual, value, 1), e })
}

func (s *story) restart(box string) {
	s.op(model.OpStop, box, 201)
	s.look(box, "stopped")
	s.op(model.OpStart, box, 201)
}

// child adds an exec that leaves a child behind, sees one that tells that the child of token lives.
func (s *story) child(ref string) { s.exec(ref, "b1", model.Payload{Child: true}); s.attach(ref, nil) }

func (s *story) sees(ref, token string) {
	s.tells(ref, "b1", model.Payload{Read: "f1"}, "alive 0", "alive 1 "+token)
}

// overlapping makes the calls of the exec ref, from its start on, run for so many milliseconds more.
func (s *story) overlapping(ref string, more int64) {
	for i := range s.h.Calls {
		if c := &s.h.Calls[i]; c.Exec == model.Ref(ref) {
			c.Return += more * ms
			if c.Attach != nil {
				for j := range c.Attach.Frames {
					c.Attach.Frames[j].At += more * ms
				}
			}
		}
	}
}

func kept(tell func(s *story)) func() *story {
	return func() *story {
		s := begin()
		s.create("b1")
		tell(s)
		return end(s)
	}
}

// goodKept and badKept differ by as little as there is between what is allowed and what is not.
var goodKept = map[string]func(s *story){
	"read before and after a write": func(s *story) { s.reads("e1", "b1", ""); s.writes("e2", "b1"); s.reads("e3", "b1", "e2") },
	"kept over a restart":           func(s *story) { s.writes("e1", "b1"); s.restart("b1"); s.reads("e2", "b1", "e1") },
	"the last of two writes":        func(s *story) { s.writes("e1", "b1"); s.writes("e2", "b1"); s.reads("e3", "b1", "e2") },
	"the first of two that overlap": func(s *story) {
		s.writes("e1", "b1")
		s.writes("e2", "b1")
		s.overlapping("e1", 4)
		s.reads("e3", "b1", "e1")
	},
	"a write nobody saw the end of": func(s *story) {
		s.exec("e1", "b1", model.Payload{Write: "f1"})
		s.restart("b1")
		s.reads("e2", "b1", "")
	},
	"such a write, seen after all": func(s *story) {
		s.exec("e1", "b1", model.Payload{Write: "f1"})
		s.restart("b1")
		s.reads("e2", "b1", "e1")
	},
	"a write that says that it fails": func(s *story) {
		s.tells("e1", "b1", model.Payload{Write: "f1"}, " ok", " failed")
		s.reads("e2", "b1", "")
	},
	"a write killed half-way": func(s *story) {
		s.exec("e1", "b1", model.Payload{Write: "f1"})
		s.onExec(model.OpKill, "e1", 204)
		s.writes("e2", "b1")
		s.reads("e3", "b1", "e1") // it may have taken effect after the other
	},
	"an exec without an answer that ran": func(s *story) {
		c := s.op(model.OpExec, "b1", 0)
		c.Outcome, c.Error, c.Payload, c.Exec, c.GaveUp = model.Unknown, "time out", &model.Payload{Token: "t-1.e1", Write: "f1"}, "e1", true
		s.reads("e2", "b1", "e1")
	},
	"a read that overlaps the next write": func(s *story) {
		s.writes("e1", "b1")
		s.reads("e2", "b1", "e1")
		s.overlapping("e2", 20)
		s.writes("e3", "b1")
	},
	"two files":                    func(s *story) { s.tells("e1", "b1", model.Payload{Write: "f2"}, "", ""); s.reads("e2", "b1", "") },
	"a child before the stop":      func(s *story) { s.child("e1"); s.sees("e2", "t-1.e1"); s.restart("b1") },
	"a child of after the restart": func(s *story) { s.restart("b1"); s.child("e1"); s.sees("e2", "t-1.e1") },
	"a child while the stop is under way": func(s *story) {
		s.child("e1")
		s.op(model.OpStop, "b1", 201)
		s.sees("e2", "t-1.e1")
		s.look("b1", "stopped")
	},
	"a child after a start without a stop":   func(s *story) { s.child("e1"); s.op(model.OpStart, "b1", 201); s.sees("e2", "t-1.e1") },
	"a child of another run on this machine": func(s *story) { s.child("e1"); s.restart("b1"); s.sees("e2", "t-9.e1") },
	"its own variables": func(s *story) {
		s.exec("e1", "b1", model.Payload{Env: true})
		s.attach("e1", nil)
		s.exec("e2", "b1", model.Payload{Env: true})
		s.attach("e2", nil)
	},
	"a new box after the old one": func(s *story) {
		s.writes("e1", "b1")
		s.create("b2")
		s.reads("e2", "b2", "")
		s.remove("b2")
	},
}

var badKept = []struct {
	invariant, detail string
	tell              func(s *story)
}{
	{"files-persist", "file gone", func(s *story) { s.writes("e1", "b1"); s.reads("e2", "b1", "") }},
	{"files-persist", "file gone", func(s *story) {
		s.reads("e1", "b1", "")
		s.writes("e2", "b1")
		s.reads("e3", "b1", "e2")
		s.reads("e4", "b1", "")
	}},
	{"files-persist", "file gone", func(s *story) {
		// Nobody saw the write end, but one read saw what it wrote.
		s.exec("e1", "b1", model.Payload{Write: "f1"})
		s.reads("e2", "b1", "e1")
		s.reads("e3", "b1", "")
	}},
	{"files-persist", "file gone after a restart", func(s *story) { s.writes("e1", "b1"); s.restart("b1"); s.reads("e2", "b1", "") }},
	{"files-persist", "file not the last one written", func(s *story) { s.writes("e1", "b1"); s.writes("e2", "b1"); s.reads("e3", "b1", "e1") }},
	{"files-persist", "file not the last one written after a restart", func(s *story) {
		s.writes("e1", "b1")
		s.writes("e2", "b1")
		s.restart("b1")
		s.reads("e3", "b1", "e1")
	}},
	{"files-persist", "file not the last one written", func(s *story) {
		// Either order of the writes is possible, but not both.
		s.writes("e1", "b1")
		s.writes("e2", "b1")
		s.overlapping("e1", 4)
		s.reads("e3", "b1", "e1")
		s.reads("e4", "b1", "e2")
		s.reads("e5", "b1", "e1")
	}},
	{"files-persist", "file damaged", func(s *story) {
		s.writes("e1", "b1")
		s.tells("e2", "b1", model.Payload{Read: "f1"}, model.FileAbsent, strings.Replace(model.FileValue("t-1.e1", "f1"), "200 200", "97 97", 1))
	}},
	{"files-persist", "file damaged", func(s *story) {
		s.writes("e1", "b1")
		s.tells("e2", "b1", model.Payload{Read: "f1"}, model.FileAbsent, model.FileDamaged+" 0 0 0 0")
	}},
	{"files-persist", "file damaged", func(s *story) {
		// What stands in f1 was written to f2.
		s.exec("e1", "b1", model.Payload{Write: "f2"})
		s.attach("e1", nil)
		s.tells("e2", "b1", model.Payload{Read: "f1"}, model.FileAbsent, model.FileValue("t-1.e1", "f2"))
	}},
	{"files-persist", "file read before it was written", func(s *story) { s.reads("e1", "b1", "e2"); s.writes("e2", "b1") }},
	{"isolation", "file of another box", func(s *story) { s.writes("e1", "b1"); s.create("b2"); s.reads("e2", "b2", "e1"); s.remove("b2") }},
	{"isolation", "file of another run", func(s *story) {
		s.tells("e1", "b1", model.Payload{Read: "f1"}, model.FileAbsent, model.FileValue("t-9.e1", "f1"))
	}},
	{"isolation", "environment of another exec", func(s *story) {
		s.tells("e1", "b1", model.Payload{Env: true}, "env 2", "env 3 CHAOS_ENV_t_1_e9=t-1.e9")
	}},
	{"isolation", "environment of another exec", func(s *story) {
		s.tells("e1", "b1", model.Payload{Env: true}, "CHAOS_TOKEN=t-1.e1", "CHAOS_TOKEN=t-1.e2")
	}},
	{"isolation", "environment incomplete", func(s *story) {
		s.tells("e1", "b1", model.Payload{Env: true}, "env 2 CHAOS_ENV_t_1_e1=t-1.e1", "env 1")
	}},
	{"clean-restart", "process survives", func(s *story) { s.child("e1"); s.restart("b1"); s.sees("e2", "t-1.e1") }},
	{"clean-restart", "process survives", func(s *story) {
		s.child("e1")
		s.op(model.OpStop, "b1", 201)
		s.op(model.OpStart, "b1", 201)
		s.sees("e2", "t-1.e1")
	}},
}

func init() {
	for name, tell := range goodKept {
		good[name] = kept(tell)
	}
	for _, tc := range badKept {
		bad = append(bad, badStory{tc.invariant, tc.detail, kept(tc.tell)})
	}
}

// What is wrong with a box is told by one promise only, and the rest of the output still counts.
func TestJudge_WhatABoxTellsIsJudgedOnce(t *testing.T) {
	for _, tc := range badKept {
		for _, x := range judge(kept(tc.tell)()).Violations {
			require.Equal(t, tc.invariant, x.Signature.Invariant, "%s: %s", tc.detail, x.Message)
		}
	}
	s := begin()
	s.create("b1")
	s.exec("e1", "b1", model.Payload{Read: "f1", Stdout: 3})
	s.attach("e1", func(o, e string) (string, string) { return o[:len(o)-3], e })
	require.Equal(t, "output-complete", judge(end(s)).Violations[0].Signature.Invariant)
}

// A line about the box that is torn or told two ways is damage of the output.
func TestJudge_TornTellingsAreDamageOfTheOutput(t *testing.T) {
	for _, edit := range []func(o string) string{
		func(o string) string { return strings.Replace(o, "absent\n", "ab", 1) },
		func(o string) string { return strings.Replace(o, " absent", " abs?nt", 1) },
		func(o string) string { return strings.Replace(o, "read f1", "read f2", 1) },
		func(o string) string { return o + o },
	} {
		s := begin()
		s.create("b1")
		s.exec("e1", "b1", model.Payload{Read: "f1"})
		s.attach("e1", func(o, e string) (string, string) { return edit(o), e })
		for _, x := range judge(end(s)).Violations {
			require.Contains(t, []string{"output-exact", "output-complete"}, x.Signature.Invariant)
		}
		require.NotEmpty(t, judge(s).Violations)
	}
	s := begin()
	s.create("b1")
	s.reads("e1", "b1", "")
	s.attach("e1", func(o, e string) (string, string) {
		return strings.Replace(o, "absent", model.FileValue("t-1.e1", "f1"), 1), e
	})
	require.Equal(t, model.Violated, invariants.Judge(end(s).h, model.Cloud()).Status, "two sessions of one exec must agree")
}
