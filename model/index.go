package model

// Index is the calls of a history sorted by box, so that looking at each box in turn takes time in
// proportion to the calls and not to their square.
type Index struct {
	limits Limits
	own    map[Ref][]*Call
	lists  []*Call
	showIn map[Ref][]*Call // lists that show the box
	gone   map[Ref]int64   // when the first accepted remove was answered
}

// NewIndex sorts the calls of h, which must not change afterwards.
func NewIndex(h *History) *Index {
	x := &Index{limits: h.Meta.Limits, own: map[Ref][]*Call{}, showIn: map[Ref][]*Call{}, gone: map[Ref]int64{}}
	for i := range h.Calls {
		c := &h.Calls[i]
		if c.Op == OpList {
			x.lists = append(x.lists, c)
			for _, b := range c.Boxes {
				if shows := x.showIn[b.Ref]; len(shows) == 0 || shows[len(shows)-1] != c {
					x.showIn[b.Ref] = append(shows, c)
				}
			}
			continue
		}
		x.own[c.Box] = append(x.own[c.Box], c)
		if at, removed := x.gone[c.Box]; c.Op == OpRemove && c.Outcome == OK && c.Variant == "" && (!removed || c.Return < at) {
			x.gone[c.Box] = c.Return
		}
	}
	return x
}

// OfBox returns the calls on box ref, in order of invocation.
func (x *Index) OfBox(ref Ref) []*Call { return x.own[ref] }

// About returns the calls on box ref and the lists that say something about it, each kind in order
// of invocation. A list without the box says nothing new before anything was asked of the box, nor
// after its removal was answered.
func (x *Index) About(ref Ref) []*Call {
	out := append([]*Call(nil), x.own[ref]...)
	if len(out) == 0 {
		return append(out, x.showIn[ref]...)
	}
	gone, removed := x.gone[ref]
	for _, l := range x.lists {
		if l.Return < out[0].Invoke || removed && l.Invoke > gone {
			continue
		}
		out = append(out, l)
	}
	for _, l := range x.showIn[ref] {
		if l.Return < out[0].Invoke || removed && l.Invoke > gone {
			out = append(out, l)
		}
	}
	return out
}
