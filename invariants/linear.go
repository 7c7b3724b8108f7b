package invariants

import (
	"fmt"
	"time"

	"github.com/anishathalye/porcupine"

	"chaos/model"
)

// linearLimit bounds the search for an order of one box's calls. A plan's few dozen calls need
// microseconds; what is not decided by then is said to be undecided.
const linearLimit = 2 * time.Second

// linear is what is known about one box: whether its calls fit one order of events at all.
type linear struct {
	fits      bool
	undecided string // why that is not known, "" if it is
}

// step is one operation as porcupine sees it: a call that takes effect, or the end of one, at which
// the box cannot be in some states any more.
type step struct {
	call *model.Call
	must bool
	not  model.State // of an end
}

// lifecycle is the sequential specification of one box, in the style of Wing & Gong: a call takes
// effect at one moment between its invocation and its return. The state is the set of all states
// that the box may be in, so one value stands for everything not known.
func lifecycle(life model.Lifecycle, ref model.Ref) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return model.Absent },
		Step: func(state, input, _ any) (bool, any) {
			could, in := settle(life, state.(model.State)), input.(step)
			if in.not != 0 {
				could &^= in.not
				return could != 0, could
			}
			next := model.State(0)
			for _, s := range could.States() {
				next |= life.Next(in.call, ref, s)
				if !in.must {
					next |= s
				}
			}
			return next != 0, next
		},
	}
}

// settle adds to a set all that its states may have become by themselves.
func settle(life model.Lifecycle, s model.State) model.State {
	for {
		next := life.Drift(s)
		if next == s {
			return s
		}
		s = next
	}
}

// operations are the calls on box ref. Times are doubled, so that the end of a call has a moment of
// its own behind it.
func (f *Facts) operations(ref model.Ref) []porcupine.Operation {
	var out []porcupine.Operation
	for _, c := range f.About(ref) {
		took, known := f.decided[c.ID]
		if !f.life.Effective(c) || known && !took {
			continue
		}
		end := f.life.Fence(f.Meta.Limits, c)
		out = append(out, porcupine.Operation{ClientId: c.ID, Input: step{call: c, must: f.life.Must(c)}, Call: 2 * c.Invoke, Return: 2 * end})
		not := f.life.Unfinished(c)
		for _, other := range f.meets(ref, c) {
			if other.Invoke <= end && end < f.life.Fence(f.Meta.Limits, other) {
				not &^= f.life.Puts(other) // it may have begun the same anew before the answer arrived
			}
			if f.life.Restarts(c) && other.Op == model.OpStop { // after each stop once more
				out = append(out, porcupine.Operation{ClientId: c.ID, Input: step{call: c}, Call: 2 * c.Invoke, Return: 2 * end})
			}
		}
		if not != 0 {
			out = append(out, porcupine.Operation{ClientId: -1 - c.ID, Input: step{not: not}, Call: 2*end + 1, Return: 2*end + 1})
		}
	}
	return out
}

// meets returns the calls that may have changed box ref while c was under way.
func (f *Facts) meets(ref model.Ref, c *model.Call) []*model.Call {
	var out []*model.Call
	for _, d := range f.OfBox(ref) {
		took, known := f.decided[d.ID]
		if d != c && f.life.Changes(d) && (took || !known) && d.Invoke <= f.life.Fence(f.Meta.Limits, c) && f.life.Fence(f.Meta.Limits, d) >= c.Invoke {
			out = append(out, d)
		}
	}
	return out
}

// Linear tells whether the answers about box ref fit one order of events. The check is porcupine's,
// one box at a time; the timeline, an algorithm of its own, finds the call that does not fit.
func (f *Facts) Linear(ref model.Ref) linear {
	if l, ok := f.linear[ref]; ok {
		return l
	}
	var l linear
	contradicted := len(f.Timeline(ref).Contradictions) > 0
	switch porcupine.CheckOperationsTimeout(lifecycle(f.life, ref), f.operations(ref), linearLimit) {
	case porcupine.Ok:
		l.fits = true
		if contradicted {
			l.undecided = fmt.Sprintf("the two checks of the order of events on %s disagree", ref)
		}
	case porcupine.Unknown:
		l.undecided = fmt.Sprintf("no order of events on %s found or ruled out in %s", ref, linearLimit)
	case porcupine.Illegal:
		if !contradicted {
			l.undecided = fmt.Sprintf("the two checks of the order of events on %s disagree", ref)
		}
	}
	f.linear[ref] = l
	return l
}

// contradictions are the calls on box ref whose answers fit no order of events.
func (f *Facts) contradictions(ref model.Ref) []model.Contradiction {
	if l := f.Linear(ref); l.fits || l.undecided != "" {
		return nil
	}
	return f.Timeline(ref).Contradictions
}
