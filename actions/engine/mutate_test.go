package engine_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"chaos/model"
)

// mutation makes one thing in a history untrue, as a broken stack would. apply returns false when the
// history has no place for it; a place is one where the contract leaves no doubt.
type mutation struct {
	name, by string // by: the invariant that must notice
	apply    func(m *mutant) bool
}

// mutant is a history being spoilt.
type mutant struct {
	*model.History
	rnd *rand.Rand
}

// pick returns a random call for which keep is true, or nil.
func (m *mutant) pick(keep func(c *model.Call) bool) *model.Call {
	var all []*model.Call
	for i := range m.Calls {
		if keep(&m.Calls[i]) {
			all = append(all, &m.Calls[i])
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all[m.rnd.IntN(len(all))]
}

func (m *mutant) any(keep func(c *model.Call) bool) bool {
	return slices.ContainsFunc(m.Calls, func(c model.Call) bool { return keep(&c) })
}

// change reports whether c may have changed a box or killed an exec on it.
func change(c *model.Call, ops ...string) bool {
	return slices.Contains(ops, c.Op) && c.Outcome != model.Rejected
}

// calm reports whether nothing disturbed the exec of c, a session or a look, until c was over.
func (m *mutant) calm(c *model.Call) bool {
	return !m.any(func(x *model.Call) bool {
		return x.Invoke <= c.Return && (x.Box == c.Box && change(x, model.OpStop, model.OpRemove) || x.Exec == c.Exec && change(x, model.OpSignal, model.OpKill))
	})
}

// steady reports whether no change of the box of c was under way during c or before it.
func (m *mutant) steady(c *model.Call, box model.Ref) bool {
	return !m.any(func(x *model.Call) bool {
		return x.Box == box && x.Invoke <= c.Return && change(x, model.OpStop, model.OpStart, model.OpRemove)
	})
}

// there reports whether box was made before c began and no removal of it was sent before c was over.
func (m *mutant) there(c *model.Call, box model.Ref) bool {
	return m.any(func(x *model.Call) bool {
		return x.Op == model.OpCreate && x.Box == box && x.Outcome == model.OK && x.Return < c.Invoke
	}) && !m.any(func(x *model.Call) bool {
		return x.Box == box && x.Invoke <= c.Return && change(x, model.OpRemove)
	})
}

// gone reports whether a removal of box was accepted before c began.
func (m *mutant) gone(c *model.Call, box model.Ref) bool {
	return m.any(func(x *model.Call) bool {
		return x.Box == box && x.Op == model.OpRemove && x.Outcome == model.OK && x.Return < c.Invoke
	})
}

func (m *mutant) start(exec model.Ref) *model.Call {
	return m.pick(func(c *model.Call) bool { return c.Op == model.OpExec && c.Exec == exec && c.Outcome == model.OK })
}

// session picks an attach session that ran to its end undisturbed, of an exec whose every byte counts.
func (m *mutant) session(more func(a *model.Attach) bool) (*model.Attach, *model.Call) {
	c := m.pick(func(c *model.Call) bool {
		return c.Op == model.OpAttach && c.Attach != nil && !c.Attach.Cut && m.start(c.Exec).Payload.Watch == 0 && m.calm(c) && more(c.Attach)
	})
	if c == nil {
		return nil, nil
	}
	return c.Attach, c
}

// data returns the indexes of frames with output.
func data(a *model.Attach) []int {
	var out []int
	for i, f := range a.Frames {
		if (f.Kind == model.FrameOut || f.Kind == model.FrameErr) && len(f.Data) > 0 {
			out = append(out, i)
		}
	}
	return out
}

func hasData(a *model.Attach) bool { return len(data(a)) > 0 }

func (m *mutant) frame(a *model.Attach) int {
	all := data(a)
	return all[m.rnd.IntN(len(all))]
}

// onFrame spoils a random frame with output.
func onFrame(spoil func(m *mutant, a *model.Attach, at int)) func(m *mutant) bool {
	return func(m *mutant) bool {
		a, _ := m.session(hasData)
		if a == nil {
			return false
		}
		spoil(m, a, m.frame(a))
		return true
	}
}

func hasExit(a *model.Attach) bool { _, ok := a.Exit(); return ok }

// onExit spoils the exit frame of a random session, which stands at index at.
func onExit(spoil func(a *model.Attach, at int)) func(m *mutant) bool {
	return func(m *mutant) bool {
		a, _ := m.session(hasExit)
		if a == nil {
			return false
		}
		spoil(a, slices.IndexFunc(a.Frames, func(f model.Frame) bool { return f.Kind == model.FrameExit }))
		return true
	}
}

// on spoils a random call for which keep is true.
func on(keep func(m *mutant, c *model.Call) bool, spoil func(m *mutant, c *model.Call)) func(m *mutant) bool {
	return func(m *mutant) bool {
		c := m.pick(func(c *model.Call) bool { return keep(m, c) })
		if c != nil {
			spoil(m, c)
		}
		return c != nil
	}
}

func answer(c *model.Call, status int, body string) {
	c.Status, c.Body, c.Error, c.Boxes, c.View, c.Attach = status, body, "", nil, nil, nil
	c.Outcome = model.Rejected
	if status < 300 {
		c.Outcome = model.OK
	}
}

// forget drops the line of the journal that says what about id, of a call with op.
func forget(op, what string, id func(c *model.Call) string) func(m *mutant) bool {
	return on(func(m *mutant, c *model.Call) bool {
		return c.Op == op && c.Outcome == model.OK && c.Variant != "stray"
	}, func(m *mutant, c *model.Call) {
		m.Journal.Entries = slices.DeleteFunc(m.Journal.Entries, func(e model.JournalEntry) bool {
			return strings.Contains(e.Message, what) && strings.Contains(e.Message, id(c))
		})
	})
}

func boxID(c *model.Call) string  { return c.BoxID }
func execID(c *model.Call) string { return c.ExecID }

func refused(_ *mutant, c *model.Call) bool {
	return c.Outcome == model.Rejected && c.Op != model.OpAttach && c.Op != model.OpProbe && c.Body != ""
}

func view(m *mutant, c *model.Call, status string) []model.BoxView {
	made := m.pick(func(x *model.Call) bool { return x.Op == model.OpCreate && x.Box == c.Box && x.Outcome == model.OK })
	if made == nil {
		made = c // its create was never answered
	}
	return []model.BoxView{{Ref: c.Box, ID: made.BoxID, Name: made.Name, Status: status}}
}

// twoOf returns two random calls with op that worked, in order.
func (m *mutant) twoOf(op string) (a, b *model.Call) {
	good := func(c *model.Call) bool { return c.Op == op && c.Outcome == model.OK }
	if a = m.pick(good); a == nil {
		return nil, nil
	}
	b = m.pick(func(c *model.Call) bool { return good(c) && c.ID > a.ID })
	return a, b
}

// mutations are all the ways to spoil a history.
var mutations = []mutation{
	{"drop a frame", "output-complete", onFrame(func(_ *mutant, a *model.Attach, at int) { a.Frames = slices.Delete(a.Frames, at, at+1) })},
	{"repeat a frame", "output-exact", onFrame(func(_ *mutant, a *model.Attach, at int) { a.Frames = slices.Insert(a.Frames, at, a.Frames[at]) })},
	{"flip a byte", "output-exact", onFrame(func(m *mutant, a *model.Attach, at int) { a.Frames[at].Data[m.rnd.IntN(len(a.Frames[at].Data))] ^= 1 })},
	{"cut the last frame short", "output-complete", func(m *mutant) bool {
		a, _ := m.session(hasData)
		if a != nil {
			last := &a.Frames[data(a)[len(data(a))-1]]
			last.Data = last.Data[:m.rnd.IntN(len(last.Data))]
		}
		return a != nil
	}},
	{"swap two frames", "output-exact", func(m *mutant) bool {
		a, c := m.session(func(a *model.Attach) bool { return len(data(a)) > 1 })
		if a == nil {
			return false
		}
		i, j := m.frame(a), m.frame(a)
		before := [][]byte{a.Bytes(model.Out), a.Bytes(model.Err)}
		a.Frames[i], a.Frames[j] = a.Frames[j], a.Frames[i]
		return c != nil && !(bytes.Equal(before[0], a.Bytes(model.Out)) && bytes.Equal(before[1], a.Bytes(model.Err)))
	}},
	{"mix in another exec's line", "output-own", onFrame(func(m *mutant, a *model.Attach, at int) {
		f, stream := &a.Frames[at], model.Out
		if f.Kind == model.FrameErr {
			stream = model.Err
		}
		line := model.Payload{Token: m.Meta.Token + ".e77", Stdout: 1, Stderr: 1}.Expected(stream)
		f.Data = slices.Insert(f.Data, bytes.LastIndexByte(f.Data, '\n')+1, line...)
	})},
	{"exit before the output", "one-exit", func(m *mutant) bool {
		a, _ := m.session(func(a *model.Attach) bool { return hasData(a) && hasExit(a) })
		if a != nil {
			a.Frames = append(a.Frames[len(a.Frames)-1:], a.Frames[:len(a.Frames)-1]...)
		}
		return a != nil
	}},
	{"no exit frame", "one-exit", onExit(func(a *model.Attach, at int) { a.Frames = slices.Delete(a.Frames, at, at+1) })},
	{"two exit frames", "one-exit", onExit(func(a *model.Attach, at int) { a.Frames = append(a.Frames, a.Frames[at]) })},
	{"another exit code", "one-exit", onExit(func(a *model.Attach, at int) { a.Frames[at].Exit ^= 1 })},
	{"another exit code in GET", "one-exit", on(func(m *mutant, c *model.Call) bool {
		return c.View.Terminal() && m.any(func(x *model.Call) bool { return x.Exec == c.Exec && x.Attach != nil && hasExit(x.Attach) })
	}, func(_ *mutant, c *model.Call) { *c.View.Exit = *c.View.Exit&0xff ^ 2 })},
	{"no exit code in GET", "one-exit", on(func(_ *mutant, c *model.Call) bool { return c.View.Terminal() }, func(_ *mutant, c *model.Call) { c.View.Exit = nil })},
	{"a session that never ends", "exec-resolves", onExit(func(a *model.Attach, at int) { a.Frames, a.TimedOut, a.Close = a.Frames[:at], true, 0 })},
	{"an exec that never ends", "exec-resolves", on(func(_ *mutant, c *model.Call) bool { return c.View.Terminal() }, func(m *mutant, c *model.Call) {
		later := *c
		later.ID, later.View = len(m.Calls), &model.ExecView{Status: "running"}
		later.Invoke = m.Calls[len(m.Calls)-1].Return + int64(time.Hour)
		later.Return = later.Invoke + 1
		m.Calls = append(m.Calls, later)
	})},
	{"a server error", "typed-errors", on(func(_ *mutant, c *model.Call) bool { return c.Status != 0 && c.Op != model.OpProbe }, func(_ *mutant, c *model.Call) { answer(c, 500, `{"error":"oops"}`) })},
	{"a leaked typed error", "typed-errors", on(refused, func(_ *mutant, c *model.Call) { answer(c, 503, `{"error":"boxlite: stopped: no (code=11)"}`) })},
	{"a plain text error", "error-shape", on(refused, func(_ *mutant, c *model.Call) { c.Body = "no" })},
	{"an empty error", "error-shape", on(refused, func(_ *mutant, c *model.Call) { c.Body = "" })},
	{"an error with another code", "error-shape", on(refused, func(_ *mutant, c *model.Call) {
		c.Body = `{"error":{"message":"m","type":"InternalError","code":"internal"}}`
	})},
	{"an error with another status", "error-shape", on(refused, func(_ *mutant, c *model.Call) {
		body, _ := json.Marshal(map[string]any{"statusCode": c.Status + 1, "error": "x", "message": "m"})
		c.Body = string(body)
	})},
	{"forget that a box was made", "journal-path", forget(model.OpCreate, "created box", boxID)},
	{"forget that an exec started", "journal-path", forget(model.OpExec, "exec started", execID)},
	{"forget that a box was destroyed", "journal-path", forget(model.OpRemove, "DESTROY_BOX", boxID)},
	{"a box nobody asked for", "journal-path", func(m *mutant) bool { m.Journal.Foreign = append(m.Journal.Foreign, "BoxOfNobody1"); return true }},
	{"one id for two boxes", "unique-names", func(m *mutant) bool {
		a, b := m.twoOf(model.OpCreate)
		if b != nil {
			b.BoxID, b.Boxes[0].ID = a.BoxID, a.BoxID
		}
		return b != nil
	}},
	{"one id for two execs", "unique-names", func(m *mutant) bool {
		a, b := m.twoOf(model.OpExec)
		if b != nil {
			b.ExecID = a.ExecID
		}
		return b != nil
	}},
	{"one name for two boxes", "unique-names", on(func(m *mutant, c *model.Call) bool {
		return c.Op == model.OpCreate && c.Status == 409 && m.any(func(x *model.Call) bool { return x.Op == model.OpCreate && x.Name == c.Name && m.there(c, x.Box) })
	}, func(_ *mutant, c *model.Call) {
		answer(c, 201, "{}")
		c.BoxID = "BoxOnceMore1"
		c.Boxes = []model.BoxView{{Ref: c.Box, ID: c.BoxID, Name: c.Name, Status: "running"}}
	})},
	{"refuse a free name", "unique-names", on(func(_ *mutant, c *model.Call) bool {
		return c.Op == model.OpCreate && c.Outcome == model.OK && c.Variant == ""
	},
		func(_ *mutant, c *model.Call) { answer(c, 409, `{"error":"already exists: it"}`) })},
	{"a ghost in the list", "list-truth", func(m *mutant) bool {
		var list *model.Call
		return on(func(m *mutant, c *model.Call) bool {
			return c.Op == model.OpCreate && c.Outcome == model.OK && m.any(func(l *model.Call) bool { return l.Op == model.OpList && m.gone(l, c.Box) })
		}, func(m *mutant, c *model.Call) {
			list = m.pick(func(l *model.Call) bool { return l.Op == model.OpList && m.gone(l, c.Box) })
			list.Boxes = append(list.Boxes, view(m, c, "running")...)
		})(m)
	}},
	{"a box missing from the list", "list-truth", on(func(m *mutant, l *model.Call) bool {
		return l.Op == model.OpList && slices.ContainsFunc(l.Boxes, func(b model.BoxView) bool { return b.Ref != "" && m.there(l, b.Ref) })
	}, func(m *mutant, l *model.Call) {
		at := slices.IndexFunc(l.Boxes, func(b model.BoxView) bool { return b.Ref != "" && m.there(l, b.Ref) })
		l.Boxes = slices.Delete(l.Boxes, at, at+1)
	})},
	{"another status in the list", "list-truth", on(func(m *mutant, l *model.Call) bool {
		return l.Op == model.OpList && slices.ContainsFunc(l.Boxes, func(b model.BoxView) bool { return b.Ref != "" && m.there(l, b.Ref) && m.steady(l, b.Ref) })
	}, func(m *mutant, l *model.Call) {
		at := slices.IndexFunc(l.Boxes, func(b model.BoxView) bool { return b.Ref != "" && m.there(l, b.Ref) && m.steady(l, b.Ref) })
		l.Boxes[at].Status = "stopped"
	})},
	{"a removed box is back", "status-truth", on(func(m *mutant, c *model.Call) bool { return c.Op == model.OpGet && c.Status == 404 && m.gone(c, c.Box) },
		func(m *mutant, c *model.Call) { answer(c, 200, "{}"); c.Boxes = view(m, c, "running") })},
	{"a box is lost", "status-truth", on(func(m *mutant, c *model.Call) bool {
		return c.Op == model.OpGet && c.Outcome == model.OK && m.there(c, c.Box)
	},
		func(_ *mutant, c *model.Call) { answer(c, 404, `{"error":"box not found: it"}`) })},
	{"stopped by nobody", "status-truth", on(func(m *mutant, c *model.Call) bool {
		return c.Op == model.OpGet && c.Outcome == model.OK && m.steady(c, c.Box)
	},
		func(_ *mutant, c *model.Call) { c.Boxes[0].Status = "stopped" })},
	{"started by nobody", "status-truth", on(func(m *mutant, c *model.Call) bool {
		return c.Op == model.OpGet && m.there(c, c.Box) && m.any(func(x *model.Call) bool {
			return x.Op == model.OpGet && x.Box == c.Box && x.Return < c.Invoke && len(x.Boxes) == 1 && x.Boxes[0].Status == "stopped"
		}) && !m.any(func(x *model.Call) bool { return x.Box == c.Box && change(x, model.OpStart) })
	}, func(_ *mutant, c *model.Call) { c.Boxes[0].Status = "running" })},
	{"an exec on a removed box", "allowed-answers", on(func(m *mutant, c *model.Call) bool {
		return c.Op == model.OpExec && c.Status == 404 && m.gone(c, c.Box)
	},
		func(_ *mutant, c *model.Call) { answer(c, 201, "{}"); c.ExecID = "an exec too many" })},
	{"an exec refused by a running box", "allowed-answers", on(func(m *mutant, c *model.Call) bool {
		return c.Op == model.OpExec && c.Status == 201 && m.steady(c, c.Box)
	},
		func(_ *mutant, c *model.Call) { answer(c, 409, `{"error":"stopped: it"}`); c.ExecID = "" })},
	{"a removal of what is there refused", "allowed-answers", on(func(m *mutant, c *model.Call) bool {
		return c.Op == model.OpRemove && c.Status == 204 && m.steadyBefore(c)
	},
		func(_ *mutant, c *model.Call) { answer(c, 404, `{"error":"box not found: it"}`) })},
	{"a bad request accepted", "allowed-answers", on(func(_ *mutant, c *model.Call) bool {
		return c.Outcome == model.Rejected && slices.Contains([]string{"cpus-zero", "cpus-huge", "memory-negative", "name-blank", "unknown-image", "not-allowed", "no-terminal", "missing-binary", "bad-dir"}, c.Variant)
	}, func(_ *mutant, c *model.Call) { answer(c, 201, "{}") })},
	{"no key needed", "access", on(func(_ *mutant, c *model.Call) bool { return c.Op == model.OpProbe && c.Variant == "" }, func(_ *mutant, c *model.Call) { answer(c, 200, "{}") })},
	{"something is left", "nothing-left", on(func(_ *mutant, c *model.Call) bool { return c.Op == model.OpRemove && c.Outcome == model.OK },
		func(m *mutant, c *model.Call) {
			m.Residue = append(m.Residue, model.Residue{BoxID: c.BoxID, What: "directory /box"})
		})},
	{"a record of a refused create", "nothing-left", func(m *mutant) bool {
		c := m.pick(func(c *model.Call) bool {
			return c.Op == model.OpCreate && c.Outcome == model.Rejected && c.Variant != "shared-name"
		})
		l := m.pick(func(l *model.Call) bool { return l.Op == model.OpList && c != nil && l.Invoke > c.Return })
		if l != nil {
			l.Boxes = append(l.Boxes, model.BoxView{ID: "BoxRefused01", Name: c.Name, Status: "unknown"})
		}
		return l != nil
	}},
	{"rows and columns exchanged", "terminal-size", resized(func(r *model.Call) string { return fmt.Sprintf("%d %d", r.Cols, r.Rows) })},
	{"another terminal size", "terminal-size", resized(func(r *model.Call) string { return fmt.Sprintf("%d %d", r.Rows+1, r.Cols) })},
}

// steadyBefore reports whether nobody else changed the box of c before c was over.
func (m *mutant) steadyBefore(c *model.Call) bool {
	return !m.any(func(x *model.Call) bool {
		return x.ID != c.ID && x.Box == c.Box && x.Invoke <= c.Return && change(x, model.OpStop, model.OpStart, model.OpRemove)
	})
}

// resized changes each mention of a size that somebody asked for.
func resized(other func(r *model.Call) string) func(m *mutant) bool {
	return func(m *mutant) bool {
		var at *model.Frame
		var was string
		r := m.pick(func(r *model.Call) bool {
			return r.Op == model.OpResize && r.Outcome == model.OK && r.Rows != r.Cols && m.any(func(s *model.Call) bool {
				return s.Exec == r.Exec && s.Attach != nil && bytes.Contains(s.Attach.Bytes(model.Out), fmt.Appendf(nil, " size %d %d\r", r.Rows, r.Cols))
			})
		})
		if r == nil {
			return false
		}
		was = fmt.Sprintf(" size %d %d\r", r.Rows, r.Cols)
		for i := range m.Calls {
			if a := m.Calls[i].Attach; a != nil && m.Calls[i].Exec == r.Exec {
				for j := range a.Frames {
					at = &a.Frames[j]
					at.Data = bytes.ReplaceAll(at.Data, []byte(was), []byte(" size "+other(r)+"\r"))
				}
			}
		}
		return true
	}
}
