package shrink

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"chaos/model"
)

// Cost says how much there is to a plan, the most telling first. A candidate must cost strictly
// less than what it replaces, so shrinking ends.
type Cost struct {
	Steps   int
	Clients int
	Spread  int           // how far the steps are from all being the first client's
	Grouped int           // steps that start together with others
	Waits   int           // after=
	Args    int           // arguments
	Ranks   int           // how far chosen words are from the simplest, by the action's Simpler lists
	Sizes   int64         // sum of numbers, and of durations in nanoseconds
	Gaps    int           // steps with a gap
	Gap     time.Duration // sum of gaps
}

// CostOf returns what p costs. vocab may be nil; then no argument value is simpler than another
// unless both are numbers or durations.
func CostOf(p model.Plan, vocab model.Vocabulary) Cost {
	p = p.Normalize()
	clients := p.Clients()
	c := Cost{Steps: len(p.Steps), Clients: len(clients)}
	for _, s := range p.Steps {
		c.Spread += slices.Index(clients, s.Client)
		if s.Group != 0 {
			c.Grouped++
		}
		if s.After != "" {
			c.Waits++
		}
		if s.Gap > 0 {
			c.Gaps++
			c.Gap += s.Gap
		}
		c.Args += len(s.Args)
		for _, a := range s.Args {
			rank, size := weigh(specOf(vocab, s.Action, a.Key), a.Value)
			c.Ranks += rank
			c.Sizes += size
		}
	}
	return c
}

// Compare returns a negative number when c is simpler than d, 0 when they cost the same.
func (c Cost) Compare(d Cost) int {
	return cmp.Or(
		cmp.Compare(c.Steps, d.Steps), cmp.Compare(c.Clients, d.Clients), cmp.Compare(c.Spread, d.Spread),
		cmp.Compare(c.Grouped, d.Grouped), cmp.Compare(c.Waits, d.Waits), cmp.Compare(c.Args, d.Args),
		cmp.Compare(c.Ranks, d.Ranks), cmp.Compare(c.Sizes, d.Sizes), cmp.Compare(c.Gaps, d.Gaps), cmp.Compare(c.Gap, d.Gap),
	)
}

// Less reports whether c is simpler than d.
func (c Cost) Less(d Cost) bool { return c.Compare(d) < 0 }

// specOf returns what vocab says about an argument, or an empty description.
func specOf(vocab model.Vocabulary, action, key string) model.ArgSpec {
	if vocab != nil {
		if spec, ok := vocab.Lookup(action); ok {
			if a, ok := spec.Arg(key); ok {
				return a
			}
		}
	}
	return model.ArgSpec{Name: key}
}

// maxSize bounds what one argument adds to Cost.Sizes, so that the sum of any plan fits.
const maxSize = int64(1) << 45

// size is a value that can be made smaller: a whole number ≥ 0 or a duration ≥ 0.
type size struct {
	n        int64
	duration bool
}

func parseSize(value string) (size, bool) {
	if n, err := strconv.ParseInt(value, 10, 64); err == nil {
		return size{n, false}, n >= 0
	}
	d, err := time.ParseDuration(value)
	return size{int64(d), true}, err == nil && d >= 0
}

func (s size) String() string {
	if s.duration {
		return time.Duration(s.n).String()
	}
	return strconv.FormatInt(s.n, 10)
}

// scalable reports whether values of the argument are amounts, which can be lowered, and not words
// that happen to look like numbers: its Simpler list, if any, must then rise.
func scalable(spec model.ArgSpec, value string) (size, bool) {
	v, ok := parseSize(value)
	last := int64(-1)
	for _, x := range spec.Simpler {
		if x == "" {
			continue
		}
		s, isSize := parseSize(x)
		ok = ok && isSize && s.duration == v.duration && s.n > last
		last = s.n
	}
	return v, ok
}

// weigh returns what a value adds to Cost.Ranks and Cost.Sizes.
func weigh(spec model.ArgSpec, value string) (rank int, amount int64) {
	if s, ok := scalable(spec, value); ok {
		return 0, min(s.n, maxSize)
	}
	if i := slices.Index(spec.Simpler, value); i >= 0 {
		return i, 0
	}
	return len(spec.Simpler), 0
}

// Canonical returns p with its names in order of first appearance (clients from a, boxes from b1,
// execs from e1) and its groups normalized. It is the same plan under other names.
func Canonical(p model.Plan) model.Plan {
	out, _ := canonical(p)
	return out
}

func canonical(p model.Plan) (model.Plan, map[model.Ref]model.Ref) {
	out := p.Normalize()
	refs := map[model.Ref]model.Ref{}
	count := map[byte]int{}
	rename := func(r model.Ref) model.Ref {
		if !r.Valid() {
			return r
		}
		if _, ok := refs[r]; !ok {
			count[r[0]]++
			refs[r] = model.Ref(string(r[0]) + strconv.Itoa(count[r[0]]))
		}
		return refs[r]
	}
	clients := out.Clients()
	for i := range out.Steps {
		s := &out.Steps[i]
		s.Client = string(rune('a' + slices.Index(clients, s.Client)))
		s.Bind = rename(s.Bind)
		s.On = rename(s.On)
		if name := model.Ref(s.Args.Get("name")); name.Valid() {
			s.Args = s.Args.With("name", string(rename(name)))
		}
		s.After = rename(s.After)
	}
	return out, refs
}

// keyOf identifies a canonical plan.
func keyOf(p model.Plan) string {
	var b strings.Builder
	for _, s := range p.Steps {
		for _, f := range []string{s.Client, string(s.Bind), s.Action, string(s.On), string(s.After)} {
			b.WriteString(f)
			b.WriteByte(0)
		}
		b.WriteString(strconv.FormatInt(int64(s.Gap), 36))
		b.WriteByte(0)
		b.WriteString(strconv.Itoa(s.Group))
		for _, a := range s.Args {
			b.WriteByte(0)
			b.WriteString(a.Key)
			b.WriteByte('=')
			b.WriteString(a.Value)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
