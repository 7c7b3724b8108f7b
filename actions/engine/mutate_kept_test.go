package engine_test

import (
	"bytes"
	"strings"

	"chaos/model"
)

// The ways to spoil what an exec tells about its box.
func init() {
	mutations = append(mutations,
		mutation{"a file is gone", "files-persist", retell(model.TellRead, func(m *mutant, c *model.Call, value string) string {
			// What the exec read had been written before it began.
			token, _, _ := strings.Cut(value, " ")
			writer := m.pick(func(w *model.Call) bool { return w.Payload != nil && w.Payload.Token == token })
			if writer == nil || !m.any(func(a *model.Call) bool {
				return a.Attach != nil && a.Exec == writer.Exec && a.Return < c.Invoke && writer.Payload.Tells(a.Attach.Bytes(model.Out))[model.TellWrite].Value == model.TellOK
			}) {
				return ""
			}
			return model.FileAbsent
		})},
		mutation{"a file is cut", "files-persist", retell(model.TellRead, func(_ *mutant, _ *model.Call, value string) string {
			if value == model.FileAbsent {
				return ""
			}
			return strings.TrimSuffix(value, "200 200") + "97 97"
		})},
		mutation{"a file of another box", "isolation", retell(model.TellRead, func(m *mutant, c *model.Call, _ string) string {
			other := m.pick(func(x *model.Call) bool { return x.Payload != nil && x.Box != c.Box })
			if other == nil {
				return ""
			}
			return model.FileValue(other.Payload.Token, c.Payload.Read)
		})},
		mutation{"a file of another run", "isolation", retell(model.TellRead, func(_ *mutant, c *model.Call, _ string) string {
			return model.FileValue("t-4711.e1", c.Payload.Read)
		})},
		mutation{"a variable of another exec", "isolation", retell(model.TellEnv, func(_ *mutant, _ *model.Call, value string) string {
			return strings.Replace(value, "2 ", "3 CHAOS_ENV_A=t-1.e99 ", 1)
		})},
		mutation{"a variable is lost", "isolation", retell(model.TellEnv, func(*mutant, *model.Call, string) string { return "0" })},
		mutation{"a child outlives a stop", "clean-restart", retell(model.TellAlive, func(m *mutant, c *model.Call, _ string) string {
			var child *model.Call
			if !m.any(func(stop *model.Call) bool {
				return stop.Op == model.OpStop && stop.Outcome == model.OK && stop.Box == c.Box && m.any(func(start *model.Call) bool {
					return start.Op == model.OpStart && start.Outcome == model.OK && start.Box == c.Box && start.Invoke > stop.Return && start.Return < c.Invoke
				}) && m.any(func(x *model.Call) bool {
					child = x
					return x.Op == model.OpExec && x.Outcome == model.OK && x.Box == c.Box && x.Return < stop.Invoke
				})
			}) {
				return ""
			}
			return "1 " + child.Payload.Token
		})},
	)
}

// retell changes what an exec tells of kind, in all its sessions. other returns the new value, "" if
// there is no place for it. It is told in one frame, or the bytes could not be replaced.
func retell(kind string, other func(m *mutant, c *model.Call, value string) string) func(m *mutant) bool {
	return func(m *mutant) bool {
		var x *model.Call
		var value, changed string
		tells := func(c *model.Call) bool {
			if c.Op != model.OpExec || c.Outcome != model.OK {
				return false
			}
			return m.any(func(s *model.Call) bool {
				if s.Attach == nil || s.Exec != c.Exec {
					return false
				}
				t, ok := c.Payload.Tells(s.Attach.Bytes(model.Out))[kind]
				if !ok {
					return false
				}
				x, value, changed = c, t.Value, other(&mutant{m.History, m.rnd}, c, t.Value)
				return changed != "" && changed != value
			})
		}
		if m.pick(func(c *model.Call) bool { return changed == "" && tells(c) }) == nil || changed == "" {
			return false
		}
		for i := range m.Calls {
			a := m.Calls[i].Attach
			if a == nil || m.Calls[i].Exec != x.Exec {
				continue
			}
			for j := range a.Frames {
				a.Frames[j].Data = bytes.Replace(a.Frames[j].Data, []byte(" "+value), []byte(" "+changed), 1)
			}
		}
		return true
	}
}
