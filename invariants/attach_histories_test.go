package invariants_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/invariants"
	"chaos/model"
)

// sending is a box with an exec that reads n lines, and a session that sent all of them and then the
// end. The command tells of what it read, changed by edit.
func sending(n int, edit func(told string) string) (*story, *model.Call) {
	s := begin()
	s.create("b1")
	s.exec("e1", "b1", model.Payload{Stdin: n, Stdout: 2})
	c := s.attach("e1", func(o, e string) (string, string) {
		if edit != nil {
			o = edit(o)
		}
		return o, e
	})
	c.Attach.Opened, c.Attach.EOF, c.Attach.Sent = c.Invoke+1, c.Invoke+2, len(s.payload("e1").Input())
	return s, c
}

// told is what the command of sending prints when it has read these of its lines of input.
func told(lines ...int) func(string) string {
	return func(whole string) string {
		all := strings.SplitAfter(whole, "\n")
		p := model.Payload{Token: "t-1.e1", Stdin: 9, Stdout: 2}
		input := strings.Split(string(p.Input()), "\n")
		out := strings.Join(all[:2], "")
		for i, line := range strings.SplitAfter(string(p.ExpectedAfter(len(lines), nil)), "\n")[2:] {
			if i < len(lines) {
				line = strings.TrimSuffix(line, "\n") + " " + input[lines[i]-1] + "\n"
			}
			out += line
		}
		return out
	}
}

// repeating is an exec whose lines a server would keep, but with what it repeats of its input it writes
// more, and a session that comes late and is given the last keep bytes of it.
func repeating(keep int) *story {
	s := begin()
	s.create("b1")
	s.exec("e1", "b1", model.Payload{Stdin: 2000, Stdout: 8000})
	first := s.attach("e1", nil)
	first.Attach.Opened, first.Attach.EOF, first.Attach.Sent = first.Invoke+1, first.Invoke+2, len(s.payload("e1").Input())
	s.attach("e1", func(o, e string) (string, string) { return o[len(o)-keep:], e })
	return s
}

// lasting makes a session end with its exec, ms milliseconds after the beginning of the story.
func (s *story) lasting(c *model.Call, until int64) {
	c.Return = until * ms
	for i := range c.Attach.Frames {
		c.Attach.Frames[i].At = c.Return - ms
	}
	s.now = max(s.now, until+1)
}

// twoSessions is an exec that takes a second, with two read-write sessions until its end: the second
// begins 50 ms after the first. edit changes them.
func twoSessions(edit func(first, second *model.Call)) *story {
	s := begin()
	s.create("b1")
	s.exec("e1", "b1", model.Payload{Sleep: time.Second})
	s.attach("e1", nil)
	s.now += 50
	second := s.attach("e1", nil)
	first := &s.h.Calls[len(s.h.Calls)-2]
	for _, c := range []*model.Call{first, second} {
		c.Attach.Opened = c.Invoke + ms
		s.lasting(c, 1100)
	}
	edit(first, second)
	return s
}

// refusedAfter is an exec whose one session is over, and an attach that is refused some time later.
func refusedAfter(after int64) (*story, *model.Call) {
	s := begin()
	s.create("b1")
	s.exec("e1", "b1", model.Payload{Stdout: 3})
	c := s.attach("e1", nil)
	c.Attach.Opened = c.Invoke + 1
	s.now += after
	refused := s.onExec(model.OpAttach, "e1", 409)
	return s, refused
}

func asTheyAre(_, _ *model.Call) {}

func init() {
	good["input that arrives"] = func() *story { s, _ := sending(9, nil); return end(s) }
	good["input of which a cut session may have lost the end"] = func() *story {
		s, c := sending(9, told(1, 2, 3, 4))
		first := *c
		first.Attach = &model.Attach{Cut: true, Opened: c.Invoke, Sent: c.Attach.Sent, EOF: c.Attach.EOF, Frames: c.Attach.Frames[:0]}
		c.Attach.Sent = 0
		first.ID, c.ID = c.ID, c.ID+1
		s.h.Calls = append(s.h.Calls[:len(s.h.Calls)-1], first, *c)
		return end(s)
	}
	good["input that ends within a line when its session was cut"] = func() *story {
		s, c := sending(9, func(o string) string {
			o = told(1, 2, 3)(o)
			at := strings.LastIndex(o, " i ")
			return o[:at+5] + o[strings.LastIndex(o, "\nt-1.e1 input"):]
		})
		c.Attach.Cut, c.Attach.Frames = true, c.Attach.Frames[:1]
		return end(s)
	}
	good["input that comes too late and is answered so"] = func() *story {
		s, c := sending(9, nil)
		answer := model.Frame{At: c.Invoke + ms, Kind: model.FrameError, Data: []byte("stdin write failed: the execution has finished")}
		c.Attach.Frames = append(append([]model.Frame{answer}, c.Attach.Frames...), answer)
		return end(s)
	}
	good["an exec that waits for the end of its input"] = func() *story {
		s, c := sending(9, nil)
		c.Attach.Cut, c.Attach.Frames, c.Attach.EOF = true, nil, 0
		s.now += 9000
		w := s.attach("e1", nil)
		w.ReadOnly, w.Attach.TimedOut, w.Attach.Frames = true, true, nil
		s.onExec(model.OpInfo, "e1", 200).View = &model.ExecView{Status: "running"}
		s.onExec(model.OpKill, "e1", 204)
		return end(s)
	}
	good["the loser of two attaches"] = func() *story {
		s := begin()
		s.create("b1")
		s.exec("e1", "b1", model.Payload{Sleep: time.Second})
		loser := s.onExec(model.OpAttach, "e1", 409)
		winner := s.attach("e1", nil)
		winner.Invoke, winner.Attach.Opened = loser.Invoke, loser.Invoke+1
		s.lasting(winner, 1100)
		return end(s)
	}
	good["an attach refused while the last session goes"] = func() *story { s, _ := refusedAfter(900); return end(s) }
	good["an attach refused while the exec is killed"] = func() *story {
		s := begin()
		s.create("b1")
		s.exec("e1", "b1", model.Payload{Sleep: time.Second})
		s.onExec(model.OpKill, "e1", 204)
		s.onExec(model.OpAttach, "e1", 409)
		return end(s)
	}
	good["an attach refused after one that was never answered"] = func() *story {
		s := begin()
		s.create("b1")
		s.exec("e1", "b1", model.Payload{})
		lost := s.onExec(model.OpAttach, "e1", 0)
		lost.Outcome, lost.GaveUp = model.Unknown, true
		s.now += 9000
		s.onExec(model.OpAttach, "e1", 409)
		return end(s)
	}
	good["a read-only session where stdin=0 needs the slot"] = func() *story {
		s, c := refusedAfter(900)
		c.ReadOnly = true
		return end(s)
	}
	good["a second session after the first was cut"] = func() *story {
		return end(twoSessions(func(first, _ *model.Call) {
			first.Attach.Cut, first.Attach.Close, first.Attach.Frames = true, 0, nil
			first.Return = first.Invoke + 40*ms
		}))
	}
	good["a second session when the exec may be over"] = func() *story {
		return end(twoSessions(func(_, second *model.Call) { second.Attach.Opened = 1050 * ms }))
	}
	good["two sessions at once, one read-only"] = func() *story {
		return end(twoSessions(func(first, _ *model.Call) { first.ReadOnly = true }))
	}
	good["two sessions at once, one that does not read"] = func() *story {
		return end(twoSessions(func(first, _ *model.Call) { first.Attach.Slow = 6 * time.Second }))
	}
	good["a reader so slow that the server gave it up"] = func() *story {
		s := slowly(nil)
		a := s.h.Calls[len(s.h.Calls)-1].Attach
		a.Slow, a.Frames, a.Close = 6*time.Second, a.Frames[:1], 1011
		return end(s)
	}
	good["a late session of an exec that repeats more than is kept"] = func() *story { return end(repeating(256 << 10)) }
	good["a slow reader that misses most of it"] = func() *story { return end(slowly(nil)) }

	bad = append(bad, []badStory{
		{"input-exact", "truncated", func() *story { s, _ := sending(9, told(1, 2, 3, 4)); return end(s) }},
		{"input-exact", "truncated", func() *story { s, _ := sending(9, told()); return end(s) }},
		{"input-exact", "missing", func() *story { s, _ := sending(9, told(3, 4, 5, 6, 7, 8, 9)); return end(s) }},
		{"input-exact", "duplicated", func() *story { s, _ := sending(9, told(1, 2, 3, 2, 3, 4, 5, 6, 7, 8, 9)); return end(s) }},
		{"input-exact", "reordered", func() *story { s, _ := sending(9, told(1, 2, 6, 7, 8, 3, 4, 5, 9)); return end(s) }},
		{"input-exact", "missing", func() *story {
			s, c := sending(9, told(1, 2, 5, 6))
			c.Attach.Cut, c.Attach.Frames = true, c.Attach.Frames[:1]
			return end(s)
		}},
		{"output-complete", "truncated, first attach", func() *story {
			s, _ := sending(9, func(o string) string { return o[:len(o)-40] })
			return end(s)
		}},
		{"output-complete", "missing, first attach", func() *story {
			s, _ := sending(9, func(o string) string {
				all := strings.SplitAfter(o, "\n")
				return strings.Join(append(all[:5:5], all[8:]...), "")
			})
			return end(s)
		}},
		{"exec-resolves", "attach session silent", func() *story {
			s, c := sending(9, nil)
			c.Attach.TimedOut, c.Attach.Frames = true, nil
			c.Return += 1500 * ms
			s.now += 1500
			return end(s)
		}},
		{"single-attach", "two at once", func() *story { return end(twoSessions(asTheyAre)) }},
		{"single-attach", "two at once", func() *story {
			return end(twoSessions(func(first, _ *model.Call) {
				first.Attach.Cut, first.Attach.Close, first.Attach.Frames = true, 0, []model.Frame{{At: 900 * ms, Kind: model.FrameErr}}
			}))
		}},
		{"single-attach", "refused after the last session", func() *story { s, _ := refusedAfter(1500); return end(s) }},
		{"output-exact", "duplicated, first attach", func() *story {
			return end(slowly(func(o string) string { return o[:90000] + o[82000:] }))
		}},
		{"output-exact", "reordered, first attach", func() *story {
			return end(slowly(func(o string) string { return o[:82000] + o[90200:164000] + o[82000:90200] }))
		}},
		{"output-own", "foreign, first attach", func() *story {
			return end(slowly(func(o string) string { return o[:82008] + foreignLine("t-1.e8", model.Out) + o[82008:] }))
		}},
		{"one-exit", "no exit", func() *story {
			s := slowly(nil)
			a := s.h.Calls[len(s.h.Calls)-1].Attach
			a.Frames = a.Frames[:1]
			return end(s)
		}},
	}...)
}

// slowly is an exec that wrote much, of which a reader that did not read in time got parts.
func slowly(edit func(o string) string) *story {
	s := begin()
	s.create("b1")
	s.exec("e1", "b1", model.Payload{Stdout: 20_000})
	c := s.attach("e1", func(o, e string) (string, string) {
		if edit == nil {
			return o[:5001] + o[41_000:140_003] + o[len(o)-70_000:len(o)-9], e
		}
		return edit(o), e
	})
	c.Attach.Slow, c.Attach.Opened = 100*time.Millisecond, c.Invoke+1
	return s
}

// TestJudge_ReadOnlyNeedsNoSlotWhereTheServerKnowsIt: only some runners take stdin=0 for read-write.
func TestJudge_ReadOnlyNeedsNoSlotWhereTheServerKnowsIt(t *testing.T) {
	contract, ok := model.Lookup("serve", nil)
	require.True(t, ok)
	s, c := refusedAfter(100)
	c.ReadOnly = true
	var names []string
	for _, v := range invariants.Judge(end(s).h, contract).Violations {
		names = append(names, v.Signature.Invariant)
	}
	require.Contains(t, names, "single-attach")
}

// TestComparePieces_AnyPartsInOrderAreFine drops random parts, then spoils what is left.
func TestComparePieces_AnyPartsInOrderAreFine(t *testing.T) {
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		p := model.Payload{Token: "run-7.e12", Stdout: 3000, UTF8: seed%2 == 0}
		want := p.Expected(model.Out)
		var parts [][]byte
		for at := 0; at < len(want); {
			n := 1024 * (1 + rnd.IntN(4))
			if at+n < len(want) && rnd.IntN(3) > 0 {
				parts = append(parts, want[at:at+n])
			}
			at += n
		}
		got := bytes.Join(parts, nil)
		damage, msg := invariants.ComparePieces(want, got, p.Token)
		require.Equal(t, invariants.Intact, damage, "seed %d: %s", seed, msg)

		i := 1 + rnd.IntN(len(parts)-2)
		twice := append(append(bytes.Join(parts[:i+1], nil), parts[i]...), bytes.Join(parts[i+1:], nil)...)
		damage, _ = invariants.ComparePieces(want, twice, p.Token)
		require.Equal(t, invariants.Duplicated, damage, "seed %d", seed)

		flip := bytes.Clone(got)
		flip[rnd.IntN(len(flip))] ^= 1
		damage, _ = invariants.ComparePieces(want, flip, p.Token)
		require.Equal(t, invariants.Corrupt, damage, "seed %d", seed)

		mixed := slicesInsert(got, bytes.IndexByte(got[len(got)/2:], '\n')+len(got)/2+1, foreignLine("run-7.e3", model.Out))
		damage, _ = invariants.ComparePieces(want, mixed, p.Token)
		require.Equal(t, invariants.Foreign, damage, "seed %d", seed)
	}
}

func slicesInsert(b []byte, at int, text string) []byte {
	return append(append(bytes.Clone(b[:at]), text...), b[at:]...)
}
