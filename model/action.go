package model

// Source is where generators get their choices from. The same choices give the same plan.
type Source interface {
	// Intn returns a number in [0, n), each equally likely. n must be positive.
	Intn(n int) int
}

// Pick returns one of list, each equally likely.
func Pick[T any](src Source, list []T) T { return list[src.Intn(len(list))] }

// Chance is true in percent of 100 draws.
func Chance(src Source, percent int) bool { return src.Intn(100) < percent }

// ArgSpec describes one argument of an action, for help texts, parse errors and the shrinker.
type ArgSpec struct {
	Name string
	Doc  string
	// Simpler lists values from simplest to less simple; "" means leave the argument out, which is
	// always the simplest. Numbers and durations are also lowered towards Floor.
	Simpler []string
	Check   func(value string) error // nil accepts anything
}

// Spec is what an action says about itself.
type Spec struct {
	Name   string
	Doc    string // one line
	On     byte   // 'b' acts on a box, 'e' on an exec, 0 on nothing
	Binds  byte   // 'b', 'e' or 0
	Weight int    // cards it gets in the generator's deck
	Way    Way    // of its messages
	Fault  bool   // it breaks a part of the stack
	Excuse Excuse // of a fault
	Args   []ArgSpec
}

// Way is how far the messages of an action go.
type Way int

// The ways.
const (
	ToAPI    Way = iota // the API answers by itself
	ByJob               // the API makes it a job, which the runner fetches
	ToRunner            // the API passes it on to the runner
	Session             // to the runner, and then a session of many frames
)

// Arg returns the description of the argument called name, be it the action's own or one of the
// ScheduleArgs.
func (s *Spec) Arg(name string) (ArgSpec, bool) {
	for _, a := range s.Args {
		if a.Name == name {
			return a, true
		}
	}
	return scheduleArg(name)
}

// Drawable is the side of an action that the generator sees.
type Drawable interface {
	Spec() *Spec
	// Ready reports whether drawing the action makes sense now.
	Ready(Belief) bool
	// Draw returns the step without client, group, gap and after. It must not change the belief.
	Draw(Source, Belief) Step
	// Next applies what the step will probably do to the belief.
	Next(*Belief, Step)
}

// Vocabulary knows the actions by name.
type Vocabulary interface {
	Lookup(name string) (*Spec, bool)
	Names() []string
}
