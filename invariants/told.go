package invariants

import (
	"chaos/model"
)

// toldOf returns what the exec told about its box, from the first session that shows it.
func (x *Exec) toldOf() model.Told {
	told := model.Told{}
	for _, s := range x.Attaches {
		if s.Attach == nil || !x.Start.Payload.Talks() {
			continue
		}
		for kind, t := range x.Start.Payload.Tells(s.Attach.Bytes(model.Out)) {
			if _, known := told[kind]; !known {
				told[kind] = t
			}
		}
	}
	return told
}

// toldAt returns when it was first seen that the exec told what it told of kind: it had happened by
// then. ok is false if it told nothing of kind.
func (x *Exec) toldAt(kind string) (at int64, value string, ok bool) {
	first, ok := x.told[kind]
	if !ok {
		return 0, "", false
	}
	if at, ok = x.seenTold[kind]; ok {
		return at, first.Value, true
	}
	at = never
	for _, s := range x.Attaches {
		if s.Attach == nil {
			continue
		}
		if t, same := x.Start.Payload.Tells(s.Attach.Bytes(model.Out))[kind]; same && t.Value == first.Value {
			at = min(at, arrival(s.Attach, t.End))
		}
	}
	if x.seenTold == nil {
		x.seenTold = map[string]int64{}
	}
	x.seenTold[kind] = at
	return at, first.Value, true
}

// arrival is when the session had carried the first n bytes of stdout.
func arrival(a *model.Attach, n int) int64 {
	for _, fr := range a.Frames {
		if fr.Kind != model.FrameOut {
			continue
		}
		if n -= len(fr.Data); n <= 0 {
			return fr.At
		}
	}
	return never
}
