// Package gen draws random plans. A plan is a pure function of its seed, the actions and the
// configuration: rapid reads a Custom generator at the seed, and nothing else is random. Rapid's
// shrinker is not used on plans, because it needs failures that repeat every time.
package gen

import (
	"slices"
	"time"

	"pgregory.net/rapid"

	"chaos/model"
)

// Config bounds the plans that are drawn. The zero value is the default.
type Config struct {
	Clients  int // clients in every plan; 0 = 2 to 6, drawn
	MaxSteps int // upper bound of steps; 0 = 60
	// Schedule draws a schedule of messages for most plans.
	Schedule bool
	// Faults are drawn into most plans, one or two of these.
	Faults []model.Drawable
	// Without leaves parts of the search out, to measure what each earns.
	Without Part
}

// Part is a set of parts of the search.
type Part uint

// The parts.
const (
	Swarm    Part = 1 << iota // each plan lacks some actions
	Deck                      // actions are dealt, not thrown
	Together                  // groups of steps that start at the same moment
	Focus                     // groups mostly act on one box
	Waiting                   // changes of a box mostly wait for an exec on it to have started
)

func (c Config) has(p Part) bool { return c.Without&p == 0 }

const (
	maxClients      = 6
	defaultMaxSteps = 60
	minSteps        = 4
)

// Plans returns the generator of plans over the given actions, which must be sorted by name.
func Plans(actions []model.Drawable, cfg Config) *rapid.Generator[model.Plan] {
	if cfg.MaxSteps == 0 {
		cfg.MaxSteps = defaultMaxSteps
	}
	return rapid.Custom(func(t *rapid.T) model.Plan { return draw(uniform{t}, actions, cfg) })
}

// At returns the plan that g draws at seed.
func At(g *rapid.Generator[model.Plan], seed int64) model.Plan { return g.Example(int(seed)) }

// uniform turns rapid's bits into equally likely numbers. Rapid's own integer ranges lean to small
// values, which would deal the first actions of a list far more often than the last.
type uniform struct{ t *rapid.T }

func (u uniform) Intn(n int) int {
	bit := rapid.Bool()
	for {
		v := 0
		for limit := n - 1; limit > 0; limit >>= 1 {
			v <<= 1
			if bit.Draw(u.t, "bit") {
				v |= 1
			}
		}
		if v < n {
			return v
		}
	}
}

type builder struct {
	src      model.Source
	cfg      Config
	clients  []string
	deck     *deck
	belief   model.Belief
	plan     model.Plan
	boxes    int
	execs    int
	group    int
	grouping bool
	ending   int                  // steps the plan is cut short by
	owner    map[model.Ref]string // which client runs an exec that takes long
}

func draw(src model.Source, actions []model.Drawable, cfg Config) model.Plan {
	b := &builder{src: src, cfg: cfg, owner: map[model.Ref]string{}, deck: newDeck(src, actions)}
	if cfg.has(Swarm) {
		b.deck.actions = swarm(src, actions)
	}
	b.deck.thrown = !cfg.has(Deck)
	n := cfg.Clients
	if n == 0 {
		n = 2 + src.Intn(maxClients-1)
	}
	for i := range n {
		b.clients = append(b.clients, string(rune('a'+i)))
	}
	// Both short and long plans find bugs that the other kind does not; short ones are cheaper.
	target := max(minSteps, cfg.MaxSteps*(1+src.Intn(8))/8-src.Intn(max(1, cfg.MaxSteps/8)))
	for len(b.plan.Steps)+b.ending < target {
		if b.revive() || b.rush() {
			continue
		}
		b.oneOrMore()
	}
	if len(cfg.Faults) > 0 && model.Chance(src, 90) {
		b.addFaults(cfg.Faults)
	}
	// Some plans stay as they are: what a schedule slows down cannot race.
	if cfg.Schedule && model.Chance(src, 85) {
		b.plan = Reschedule(src, b.plan, ways(actions, cfg.Faults...))
	}
	return b.plan.Normalize()
}

// swarm leaves each action out of some plans: what one plan lacks cannot get in the way of what it
// has (Groce et al., "Swarm testing", ISSTA 2012). What makes boxes is always there, and something
// that acts on boxes.
func swarm(src model.Source, actions []model.Drawable) []model.Drawable {
	var out []model.Drawable
	for _, a := range actions {
		keep := 70
		if a.Spec().Binds == 'b' {
			keep = 100
		} else if a.Spec().Binds == 'e' {
			keep = 90
		}
		if model.Chance(src, keep) {
			out = append(out, a)
		}
	}
	if slices.ContainsFunc(out, func(a model.Drawable) bool { return a.Spec().On == 'b' }) {
		return out
	}
	return actions
}

// one adds a single step.
func (b *builder) one() {
	action := b.deck.deal(b.belief)
	s := b.finish(action, action.Draw(b.src, b.belief), model.Pick(b.src, b.clients))
	if model.Chance(b.src, 15) {
		s.Gap = b.gap()
	}
	b.add(action, s)
}

// revive makes sure that most of a plan happens on boxes that live: without one, it mostly starts or
// makes one. When no more may be made the plan ends soon.
func (b *builder) revive() bool {
	if len(b.belief.In(model.Running)) > 0 || !model.Chance(b.src, 65) {
		return false
	}
	for _, a := range b.deck.actions {
		if a.Spec().Binds == 'b' && a.Ready(b.belief) {
			b.add(a, b.finish(a, a.Draw(b.src, b.belief), model.Pick(b.src, b.clients)))
			return true
		}
	}
	b.ending += 4
	return false
}

// together adds a group of steps of different clients that start at the same moment, mostly on one
// box, now and then all the same action.
func (b *builder) together() {
	view := b.focus()
	size := 2 + b.src.Intn(min(4, len(b.clients))-1)
	clients := shuffled(b.src, b.clients)[:size]
	same := model.Chance(b.src, 40)
	var action model.Drawable
	type member struct {
		action model.Drawable
		step   model.Step
	}
	var members []member
	b.group++
	b.grouping = true
	defer func() { b.grouping = false }()
	for _, client := range clients {
		if action == nil || !same {
			action = b.deck.deal(view)
		}
		drawn := action.Draw(b.src, view)
		if same && len(members) > 0 && model.Chance(b.src, 60) {
			// The same request at the same time is the oldest race there is.
			drawn.On, drawn.Args = members[0].step.On, members[0].step.Args
		}
		s := b.finish(action, drawn, client)
		s.Group = b.group
		if model.Chance(b.src, 40) {
			s.Gap = b.gap()
		}
		members = append(members, member{action, s})
	}
	// What one member makes the others cannot use, so the belief moves only now.
	for _, m := range members {
		b.add(m.action, m.step)
	}
}

// rush lets all clients make a box at the same moment, which limits and names must stand. It comes up
// in about one plan in six.
func (b *builder) rush() bool {
	if len(b.clients) < 3 || !b.cfg.has(Together) || !model.Chance(b.src, 1) {
		return false
	}
	for _, a := range b.deck.actions {
		if a.Spec().Binds != 'b' || !a.Ready(b.belief) {
			continue
		}
		b.group++
		view := b.belief.Clone()
		for _, client := range shuffled(b.src, b.clients) {
			s := b.finish(a, a.Draw(b.src, view), client)
			s.Group = b.group
			b.add(a, s)
		}
		return true
	}
	return false
}

// focus returns the belief about one box only, most of the time.
func (b *builder) focus() model.Belief {
	if !b.cfg.has(Focus) || !model.Chance(b.src, 75) {
		return b.belief.Clone()
	}
	live := b.belief.In(model.Running | model.Stopped)
	if len(live) == 0 {
		live = b.belief.Boxes
	}
	box := model.Pick(b.src, live)
	view := model.Belief{Boxes: []model.BelievedBox{box}}
	view.Execs = b.belief.ExecsWhere(func(x model.BelievedExec) bool { return x.Box == box.Ref })
	return view
}

// finish completes a drawn step with its client, its own names and what it waits for.
func (b *builder) finish(action model.Drawable, s model.Step, client string) model.Step {
	s.Client = b.other(client, s.On)
	switch action.Spec().Binds {
	case 'b':
		b.boxes++
		s.Bind = model.Ref("b" + itoa(b.boxes))
	case 'e':
		b.execs++
		s.Bind = model.Ref("e" + itoa(b.execs))
	}
	// Changes of a box mostly wait for the latest exec on it to have started: the interesting time
	// is while it runs, and a client far ahead of the others would remove everything too early.
	if on := b.belief.ExecsWhere(func(x model.BelievedExec) bool { return x.Box == s.On }); s.On.IsBox() && s.Bind == "" && len(on) > 0 && b.cfg.has(Waiting) && model.Chance(b.src, 50) {
		s.After = on[len(on)-1].Ref
	}
	return s
}

// other mostly replaces a client that is busy with the exec on by another one, which can act on it
// while it runs. Members of a group keep theirs.
func (b *builder) other(client string, on model.Ref) string {
	if b.owner[on] != client || len(b.clients) == 1 || b.grouping || !model.Chance(b.src, 85) {
		return client
	}
	for {
		if c := model.Pick(b.src, b.clients); c != client {
			return c
		}
	}
}

func (b *builder) gap() time.Duration {
	return time.Duration(model.Pick(b.src, []int{1, 2, 3, 5, 8, 13, 21})) * time.Millisecond
}

func (b *builder) add(action model.Drawable, s model.Step) {
	b.plan.Steps = append(b.plan.Steps, s)
	action.Next(&b.belief, s)
	if n := len(b.belief.Execs); n > 0 && s.Bind == b.belief.Execs[n-1].Ref && b.belief.Execs[n-1].Long {
		b.owner[s.Bind] = s.Client
	}
}

func shuffled[T any](src model.Source, list []T) []T {
	out := slices.Clone(list)
	for i := len(out) - 1; i > 0; i-- {
		j := src.Intn(i + 1)
		out[i], out[j] = out[j], out[i]
	}
	return out
}

func (b *builder) oneOrMore() {
	if len(b.clients) > 1 && len(b.belief.Boxes) > 0 && b.cfg.has(Together) && model.Chance(b.src, 35) {
		b.together()
	} else {
		b.one()
	}
}
