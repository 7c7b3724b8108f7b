package shrink

import (
	"slices"

	"chaos/model"
)

// This file holds the surgery on plans. Nothing here changes its argument.

// binders returns which step binds each ref.
func binders(p model.Plan) map[model.Ref]int {
	out := map[model.Ref]int{}
	for i, s := range p.Steps {
		if s.Bind != "" {
			out[s.Bind] = i
		}
	}
	return out
}

// acts reports whether s makes no sense without r: it acts on r or names it.
func acts(s model.Step, r model.Ref) bool {
	return r != "" && (s.On == r || model.Ref(s.Args.Get("name")) == r)
}

// withUsers adds to drop, in place, every step that acts on what a dropped step binds.
func withUsers(p model.Plan, drop []bool) []bool {
	gone := map[model.Ref]bool{}
	for i, s := range p.Steps {
		if !drop[i] {
			drop[i] = gone[s.On] || gone[model.Ref(s.Args.Get("name"))]
		}
		if drop[i] && s.Bind != "" {
			gone[s.Bind] = true
		}
	}
	return drop
}

// without returns p less the dropped steps. A wait for a dropped binder goes, or, with rewire,
// becomes a wait for the nearest binder before it that stays.
func without(p model.Plan, drop []bool, rewire bool) model.Plan {
	bound := binders(p)
	var out model.Plan
	for i, s := range p.Steps {
		if drop[i] {
			continue
		}
		if at, ok := bound[s.After]; ok && drop[at] {
			s.After = ""
			for k := at - 1; rewire && k >= 0; k-- {
				if !drop[k] && p.Steps[k].Bind != "" && (s.Group == 0 || p.Steps[k].Group != s.Group) {
					s.After = p.Steps[k].Bind
					break
				}
			}
		}
		out.Steps = append(out.Steps, s)
	}
	return out
}

// keeping returns which steps to drop so that only those of the given boxes stay: steps on them, on
// execs in them, and steps on nothing at all.
func keeping(p model.Plan, boxes []model.Ref) []bool {
	home := map[model.Ref]model.Ref{}
	drop := make([]bool, len(p.Steps))
	for i, s := range p.Steps {
		box := s.On
		switch {
		case s.On.IsExec():
			box = home[s.On]
		case s.On == "" && s.Bind.IsBox():
			box = s.Bind
		}
		if s.Bind.IsExec() {
			home[s.Bind] = box
		}
		drop[i] = box != "" && !slices.Contains(boxes, box)
	}
	return drop
}

// An atom is a set of steps that are dropped together, as indexes.
type atom []int

// byClient returns the steps of each client.
func byClient(p model.Plan) []atom {
	clients := p.Clients()
	out := make([]atom, len(clients))
	for i, s := range p.Steps {
		k := slices.Index(clients, s.Client)
		out[k] = append(out[k], i)
	}
	return out
}

// byRef returns, for each ref of a kind ('b' or 'e') in order of appearance, the steps that bind it
// or act on it. Execs of a box go with it because they act on it.
func byRef(kind byte) func(model.Plan) []atom {
	return func(p model.Plan) []atom {
		var refs []model.Ref
		for _, s := range p.Steps {
			for _, r := range []model.Ref{s.Bind, s.On} {
				if r != "" && r[0] == kind && !slices.Contains(refs, r) {
					refs = append(refs, r)
				}
			}
		}
		out := make([]atom, len(refs))
		for k, r := range refs {
			for i, s := range p.Steps {
				if s.Bind == r || acts(s, r) {
					out[k] = append(out[k], i)
				}
			}
		}
		return out
	}
}

// byStep returns each step alone, the last first: what comes late has the fewest users.
func byStep(p model.Plan) []atom {
	out := make([]atom, len(p.Steps))
	for i := range out {
		out[i] = atom{len(p.Steps) - 1 - i}
	}
	return out
}

// dropping returns p less the steps of the atoms and their users.
func dropping(p model.Plan, atoms []atom) model.Plan {
	drop := make([]bool, len(p.Steps))
	for _, a := range atoms {
		for _, i := range a {
			drop[i] = true
		}
	}
	return without(p, withUsers(p, drop), false)
}

// members returns the steps of i's group, i alone when it has none.
func members(p model.Plan, i int) (first, last int) {
	first, last = i, i
	if p.Steps[i].Group == 0 {
		return first, last
	}
	for first > 0 && p.Steps[first-1].Group == p.Steps[i].Group {
		first--
	}
	for last+1 < len(p.Steps) && p.Steps[last+1].Group == p.Steps[i].Group {
		last++
	}
	return first, last
}

// takeOut returns p with step i taken out of its group and put right before or after it. Clients
// keep the order of their steps, since a group has one step of each.
func takeOut(p model.Plan, i int, before bool) model.Plan {
	first, last := members(p, i)
	s := p.Steps[i]
	s.Group = 0
	steps := slices.Delete(slices.Clone(p.Steps), i, i+1)
	at := last
	if before {
		at = first
	}
	return model.Plan{Steps: slices.Insert(steps, at, s)}
}

// dissolve returns p with the groups in [first, last] dissolved.
func dissolve(p model.Plan, first, last int) model.Plan {
	out := p.Clone()
	for i := first; i <= last; i++ {
		out.Steps[i].Group = 0
	}
	return out
}

// reassign returns p with step i done by client. When another member of its group is that client's
// already, the step leaves the group.
func reassign(p model.Plan, i int, client string, before bool) model.Plan {
	first, last := members(p, i)
	for k := first; k <= last; k++ {
		if k != i && p.Steps[k].Client == client {
			out := takeOut(p, i, before)
			at := last
			if before {
				at = first
			}
			out.Steps[at].Client = client
			return out
		}
	}
	out := p.Clone()
	out.Steps[i].Client = client
	return out
}

// merge returns p with all steps of client from done by client to.
func merge(p model.Plan, from, to string, before bool) model.Plan {
	for {
		i := slices.IndexFunc(p.Steps, func(s model.Step) bool { return s.Client == from })
		if i < 0 {
			return p
		}
		p = reassign(p, i, to, before)
	}
}
