package model

import "fmt"

// Belief is the generator's approximate idea of the world: what the plan so far has probably left
// behind. It only steers draws towards interesting steps; no verdict depends on it.
type Belief struct {
	Boxes []BelievedBox
	Execs []BelievedExec
}

// BelievedBox is a box that the plan has asked for.
type BelievedBox struct {
	Ref   Ref
	State State  // one bit; Unknown after steps that raced
	Name  string // the shared name it was given, "" if it has one of its own
}

// BelievedExec is an exec that the plan has asked for.
type BelievedExec struct {
	Ref, Box Ref
	TTY      bool
	Long     bool   // still running for a while after it starts
	Detached bool   // not attached by the step that started it
	Cut      bool   // the attach of the step that started it is cut
	Child    bool   // leaves a child behind
	Writes   string // the file it writes, "" if none
	Bulk     bool   // writes more than a server keeps
}

// NextBox returns the ref the next create should bind.
func (b Belief) NextBox() Ref { return Ref(fmt.Sprintf("b%d", len(b.Boxes)+1)) }

// NextExec returns the ref the next exec should bind.
func (b Belief) NextExec() Ref { return Ref(fmt.Sprintf("e%d", len(b.Execs)+1)) }

// In returns the boxes whose believed state is in set.
func (b Belief) In(set State) []BelievedBox {
	var out []BelievedBox
	for _, x := range b.Boxes {
		if x.State&set != 0 {
			out = append(out, x)
		}
	}
	return out
}

// ExecsWhere returns the execs for which keep is true.
func (b Belief) ExecsWhere(keep func(BelievedExec) bool) []BelievedExec {
	var out []BelievedExec
	for _, x := range b.Execs {
		if keep(x) {
			out = append(out, x)
		}
	}
	return out
}

// SetBox changes the believed state of ref.
func (b *Belief) SetBox(ref Ref, s State) {
	for i := range b.Boxes {
		if b.Boxes[i].Ref == ref {
			b.Boxes[i].State = s
		}
	}
}

// Clone returns a copy that shares nothing with b.
func (b Belief) Clone() Belief {
	return Belief{Boxes: append([]BelievedBox(nil), b.Boxes...), Execs: append([]BelievedExec(nil), b.Execs...)}
}
