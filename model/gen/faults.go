package gen

import (
	"slices"

	"chaos/model"
)

// nemesis is the client that breaks things. It does nothing else, so that nobody waits for it.
const nemesis = "x"

// addFaults puts one fault, or two, between the steps of the plan. Each waits for something that a
// step before it makes, and mostly a moment longer: otherwise all of them would come at the beginning.
func (b *builder) addFaults(faults []model.Drawable) {
	n := 1
	if model.Chance(b.src, 30) {
		n = 2
	}
	for range n {
		f := model.Pick(b.src, faults)
		at := 1 + b.src.Intn(len(b.plan.Steps))
		for at < len(b.plan.Steps) && b.plan.Steps[at].Group != 0 && b.plan.Steps[at].Group == b.plan.Steps[at-1].Group {
			at++ // a group stands in one block
		}
		s := f.Draw(b.src, b.belief)
		s.Client = nemesis
		for i := at - 1; i >= 0 && s.After == ""; i-- {
			s.After = b.plan.Steps[i].Bind
		}
		if model.Chance(b.src, 60) {
			s.Gap = b.gap()
		}
		b.plan.Steps = slices.Insert(b.plan.Steps, at, s)
	}
}
