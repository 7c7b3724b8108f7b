package engine_test

import (
	"bytes"
	"slices"
	"time"

	"chaos/model"
)

// What a stack does wrong with input and with the slot of an attach session.
func init() {
	mutations = append(mutations, []mutation{
		{"two sessions at once", "single-attach", func(m *mutant) bool {
			a, c := m.session(func(a *model.Attach) bool { return hasExit(a) && a.Slow == 0 })
			if a == nil || c.ReadOnly || a.Opened+1 >= m.start(c.Exec).Invoke+int64(m.start(c.Exec).Payload.Least())-int64(20*time.Millisecond) {
				return false
			}
			twin, session := *c, *a
			session.Opened++
			twin.ID, twin.Attach = len(m.Calls), &session
			m.Calls = append(m.Calls, twin)
			return true
		}},
		{"an attach refused for nothing", "exec-status", on(func(m *mutant, c *model.Call) bool {
			return c.Op == model.OpAttach && c.Attach != nil && m.calm(c) && m.steady(c, c.Box) &&
				!m.any(func(x *model.Call) bool { return x.Op == model.OpAttach && x.Exec == c.Exec && x.ID != c.ID })
		}, func(_ *mutant, c *model.Call) { answer(c, 409, `{"error":"execution e already attached"}`) })},
		{"a line of input lost", "input-exact", readWrong(func(lines [][]byte, i int) [][]byte { return slices.Delete(lines, i, i+1) })},
		{"a line of input twice", "input-exact", readWrong(func(lines [][]byte, i int) [][]byte { return slices.Insert(lines, i, lines[i]) })},
		{"input in another order", "input-exact", readWrong(func(lines [][]byte, i int) [][]byte {
			if len(lines) < 2 {
				return nil
			}
			j := (i + 1) % len(lines)
			lines[i], lines[j] = lines[j], lines[i]
			return lines
		})},
	}...)
}

// readWrong makes the command of a random session have read other lines than were sent.
func readWrong(spoil func(lines [][]byte, at int) [][]byte) func(m *mutant) bool {
	return func(m *mutant) bool {
		var p *model.Payload
		a, c := m.session(func(a *model.Attach) bool { return a.EndedInput() && a.Sent > 0 && a.Slow == 0 && hasExit(a) })
		if a == nil {
			return false
		}
		p = m.start(c.Exec).Payload
		back := p.ReadBack(a.Bytes(model.Out))
		lines := bytes.Split(back.Input, []byte("\n"))
		if lines = spoil(lines, m.rnd.IntN(len(lines))); lines == nil || back.Told != p.Stdin {
			return false
		}
		var out []byte
		n := 0
		for line := range bytes.SplitSeq(bytes.TrimSuffix(p.ExpectedAfter(len(lines), nil), []byte("\n")), []byte("\n")) {
			out = append(out, line...)
			if bytes.HasPrefix(line, []byte(p.Token+" r ")) {
				out = append(append(out, ' '), lines[n]...)
				n++
			}
			out = append(out, '\n')
		}
		first := slices.IndexFunc(a.Frames, func(f model.Frame) bool { return f.Kind == model.FrameOut })
		a.Frames[first].Data = out
		for i := first + 1; i < len(a.Frames); i++ {
			if a.Frames[i].Kind == model.FrameOut {
				a.Frames[i].Data = nil
			}
		}
		return true
	}
}
