package actions

import "chaos/model"

// aboutKept draws whether an exec on box has to do with what boxes keep and what they must not keep:
// more often than not when there is something to find.
func aboutKept(src model.Source, b model.Belief, box model.Ref) bool {
	if left(b, box) {
		return model.Chance(src, 70)
	}
	return model.Chance(src, 35)
}

// drawKept adds to a what an exec on box has to do with files. Mostly one is used, so that reads and
// writes meet.
func drawKept(src model.Source, b model.Belief, box model.Ref, a model.Args) model.Args {
	file, read := model.Pick(src, []string{"f1", "f1", "f1", "f2"}), 25
	if left(b, box) {
		read = 75
	}
	if model.Chance(src, read) {
		a = a.With("read", file)
		if !model.Chance(src, 20) {
			return a
		}
	}
	return a.With("write", file)
}

// pickHolding draws, most of the time, one of the wanted boxes in which execs have left something: what
// is worth keeping, or must not be kept, is in some boxes only.
func pickHolding(src model.Source, b model.Belief, want func(x model.BelievedBox) bool) (model.Ref, bool) {
	var holding []model.Ref
	for _, x := range b.Boxes {
		if want(x) && left(b, x.Ref) {
			holding = append(holding, x.Ref)
		}
	}
	if len(holding) == 0 || !model.Chance(src, 75) {
		return "", false
	}
	return model.Pick(src, holding), true
}

// left reports whether execs have probably left something in box, or in one before it that had its name.
func left(b model.Belief, box model.Ref) bool {
	name := ""
	for _, x := range b.Boxes {
		if x.Ref == box {
			name = x.Name
		}
	}
	same := map[model.Ref]bool{box: true}
	for _, x := range b.Boxes {
		same[x.Ref] = same[x.Ref] || name != "" && x.Name == name
	}
	return len(b.ExecsWhere(func(x model.BelievedExec) bool { return same[x.Box] && (x.Writes != "" || x.Child) })) > 0
}
