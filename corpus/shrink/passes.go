package shrink

import (
	"iter"
	"slices"
	"time"

	"chaos/model"
)

// concurrency takes away what happens at the same time: whole clients, together blocks, members of
// blocks, single steps that the first clients can do. Each success starts it over.
func concurrency(_ *session, p model.Plan, _ *mark) iter.Seq[edit] {
	return func(yield func(edit) bool) {
		for _, part := range []func(model.Plan) iter.Seq[model.Plan]{sequential, mergeClients, dissolveGroups, moveSteps} {
			for q := range part(p) {
				if !yield(edit{plan: q}) {
					return
				}
			}
		}
	}
}

// sequential proposes one client doing everything.
func sequential(p model.Plan) iter.Seq[model.Plan] {
	return func(yield func(model.Plan) bool) {
		out := dissolve(p, 0, len(p.Steps)-1)
		for i := range out.Steps {
			out.Steps[i].Client = p.Steps[0].Client
		}
		yield(out)
	}
}

// mergeClients proposes one client doing another's work besides its own.
func mergeClients(p model.Plan) iter.Seq[model.Plan] {
	return func(yield func(model.Plan) bool) {
		clients := p.Clients()
		for j := len(clients) - 1; j > 0; j-- {
			for _, to := range clients[:j] {
				for _, before := range []bool{false, true} {
					if !yield(merge(p, clients[j], to, before)) {
						return
					}
				}
			}
		}
	}
}

// dissolveGroups proposes fewer and smaller together blocks.
func dissolveGroups(p model.Plan) iter.Seq[model.Plan] {
	return func(yield func(model.Plan) bool) {
		if !yield(dissolve(p, 0, len(p.Steps)-1)) {
			return
		}
		for i := 0; i < len(p.Steps); i++ {
			first, last := members(p, i)
			if first == last {
				continue
			}
			if !yield(dissolve(p, first, last)) {
				return
			}
			for k := first; k <= last && last-first > 1; k++ {
				if !yield(takeOut(p, k, true)) || !yield(takeOut(p, k, false)) {
					return
				}
			}
			i = last
		}
	}
}

// moveSteps proposes single steps being done by an earlier client.
func moveSteps(p model.Plan) iter.Seq[model.Plan] {
	return func(yield func(model.Plan) bool) {
		clients := p.Clients()
		for i := len(p.Steps) - 1; i >= 0; i-- {
			for _, to := range clients[:slices.Index(clients, p.Steps[i].Client)] {
				for _, before := range []bool{false, true} {
					if !yield(reassign(p, i, to, before)) {
						return
					}
				}
			}
		}
	}
}

// waits drops after=, all at once and then each.
func waits(_ *session, p model.Plan, _ *mark) iter.Seq[edit] {
	return perStep(p, func(s *model.Step) bool {
		had := s.After != ""
		s.After = ""
		return had
	})
}

// perStep proposes change for all steps at once, then for each. change tells whether it changed anything.
func perStep(p model.Plan, change func(*model.Step) bool) iter.Seq[edit] {
	return func(yield func(edit) bool) {
		all := p.Clone()
		var changed []int
		for i := range all.Steps {
			if change(&all.Steps[i]) {
				changed = append(changed, i)
			}
		}
		if len(changed) > 1 && !yield(edit{plan: all}) {
			return
		}
		for _, i := range changed {
			one := p.Clone()
			one.Steps[i] = all.Steps[i]
			if !yield(edit{plan: one}) {
				return
			}
		}
	}
}

// gaps drops gaps, all at once and then each, and lowers those that are needed.
func gaps(_ *session, p model.Plan, _ *mark) iter.Seq[edit] {
	return func(yield func(edit) bool) {
		for e := range perStep(p, func(s *model.Step) bool {
			had := s.Gap > 0
			s.Gap = 0
			return had
		}) {
			if !yield(e) {
				return
			}
		}
		for i, s := range p.Steps {
			for n := range lower(0, size{int64(s.Gap), true}) {
				q := p.Clone()
				q.Steps[i].Gap = time.Duration(n)
				if !yield(edit{plan: q}) {
					return
				}
			}
		}
	}
}

// arguments leaves arguments out, and tries the words their action calls simpler.
func arguments(s *session, p model.Plan, resume *mark) iter.Seq[edit] {
	return func(yield func(edit) bool) {
		if resume == nil {
			for e := range perStep(p, func(st *model.Step) bool {
				had := len(st.Args) > 0
				st.Args = nil
				return had
			}) {
				if !yield(e) {
					return
				}
			}
		}
		at := 0
		for i, st := range p.Steps {
			for _, a := range st.Args {
				if at++; resume != nil && at < resume.a {
					continue
				}
				for _, v := range append([]string{""}, simpler(specOf(s.opt.Vocab, st.Action, a.Key), a.Value)...) {
					if !yield(edit{withArg(p, i, a.Key, v), mark{a: at}}) {
						return
					}
				}
			}
		}
	}
}

// amounts lowers numbers and durations. The mark holds which argument and the highest value known
// to be too low.
func amounts(s *session, p model.Plan, resume *mark) iter.Seq[edit] {
	return func(yield func(edit) bool) {
		at := 0
		for i, st := range p.Steps {
			for _, a := range st.Args {
				at++
				low := int64(0)
				if resume != nil && at < resume.a {
					continue
				}
				if resume != nil && at == resume.a {
					low = resume.n
				}
				spec := specOf(s.opt.Vocab, st.Action, a.Key)
				v, ok := scalable(spec, a.Value)
				if !ok {
					continue
				}
				for n := range lower(low, v) {
					value := size{n, v.duration}.String()
					if permitted(spec, value) && !yield(edit{withArg(p, i, a.Key, value), mark{a: at, n: low}}) {
						return
					}
					low = n
				}
			}
		}
	}
}

func withArg(p model.Plan, i int, key, value string) model.Plan {
	q := p.Clone()
	q.Steps[i].Args = q.Steps[i].Args.With(key, value)
	return q
}

func permitted(spec model.ArgSpec, value string) bool {
	return spec.Check == nil || spec.Check(value) == nil
}

// simpler returns the values the action lists as simpler than value, simplest first.
func simpler(spec model.ArgSpec, value string) []string {
	var out []string
	rank, amount := weigh(spec, value)
	for _, x := range spec.Simpler {
		if x == "" || !permitted(spec, x) {
			continue
		}
		if r, n := weigh(spec, x); r < rank || (r == rank && n < amount) {
			out = append(out, x)
		}
	}
	return out
}

// Bounds of lowering durations: a gap of 3.1 ms is not worth more runs than one of 4 ms, and below
// the smallest the clock of a shared machine decides more than the plan does.
const (
	durationTries    = 2
	smallestDuration = int64(100 * time.Microsecond)
)

// lower returns values between low (known to be too low) and v: the middle, then, as each turns
// out too low as well, the middle of what is left. Numbers are followed to the end, durations for a
// few tries and in round values.
func lower(low int64, v size) iter.Seq[int64] {
	return func(yield func(int64) bool) {
		for try := 0; !v.duration || try < durationTries; try++ {
			mid := low + (v.n-low)/2
			if v.duration {
				mid = round(mid)
			}
			if mid <= low || mid >= v.n || (v.duration && mid < smallestDuration) || !yield(mid) {
				return
			}
			low = mid
		}
	}
}

// round cuts n down to two significant digits.
func round(n int64) int64 {
	unit := int64(1)
	for n/unit >= 100 {
		unit *= 10
	}
	return n / unit * unit
}
