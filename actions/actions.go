package actions

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"chaos/model"
)

// Action is one thing a client can do.
type Action interface {
	model.Drawable
	// Perform carries out the step and records every exchange in env. It returns when the step is
	// over. Failures of the stack are outcomes in the record, never errors.
	Perform(ctx context.Context, env *Env, step model.Step)
}

var registry = model.NewRegistry[Action]("action")

func register(a Action) Action { return registry.Add(a.Spec().Name, a) }

var faults = model.NewRegistry[Action]("fault")

// RegisterFault makes a fault known. Those in actions/faults do it by themselves.
func RegisterFault(a Action) Action { return faults.Add(a.Spec().Name, a) }

// Get returns the action, or the fault, called name.
func Get(name string) (Action, bool) {
	if a, ok := registry.Get(name); ok {
		return a, true
	}
	return faults.Get(name)
}

// All returns every action, sorted by name.
func All() []Action { return registry.All() }

// Faults returns every fault, sorted by name.
func Faults() []Action { return faults.All() }

// Drawables returns every action as the generator sees it, sorted by name.
func Drawables() []model.Drawable {
	var out []model.Drawable
	for _, a := range All() {
		out = append(out, a)
	}
	return out
}

// Vocabulary is every action as the text form and the shrinker see it.
type Vocabulary struct{}

// Lookup implements model.Vocabulary.
func (Vocabulary) Lookup(name string) (*model.Spec, bool) {
	a, ok := Get(name)
	if !ok {
		return nil, false
	}
	return a.Spec(), true
}

// Names implements model.Vocabulary.
func (Vocabulary) Names() []string { return append(registry.Names(), faults.Names()...) }

// The checks of argument values.

func oneOf(values ...string) func(string) error {
	return func(v string) error {
		if slices.Contains(values, v) {
			return nil
		}
		return fmt.Errorf("want one of %s", strings.Join(values, " "))
	}
}

func number(low, high int) func(string) error {
	return func(v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < low || n > high {
			return fmt.Errorf("want a whole number from %d to %d", low, high)
		}
		return nil
	}
}

func duration(high time.Duration) func(string) error {
	return func(v string) error {
		d, err := time.ParseDuration(v)
		if err != nil || d <= 0 || d > high {
			return fmt.Errorf("want a duration up to %s, like 50ms", high)
		}
		return nil
	}
}

// arg builds the arguments of a step from key, value pairs, leaving out empty values.
func args(pairs ...string) model.Args {
	var a model.Args
	for i := 0; i < len(pairs); i += 2 {
		a = a.With(pairs[i], pairs[i+1])
	}
	return a
}

// pickBox draws a box to act on: one in the wanted states if there is any, now and then any other.
func pickBox(src model.Source, b model.Belief, want model.State) model.Ref {
	if wanted := b.In(want); len(wanted) > 0 && !model.Chance(src, 12) {
		return model.Pick(src, wanted).Ref
	}
	return model.Pick(src, b.Boxes).Ref
}

// pickExec draws an exec: one for which want is true if there is any, mostly one of the latest, now
// and then any other.
func pickExec(src model.Source, b model.Belief, want func(model.BelievedExec) bool) model.Ref {
	if wanted := b.ExecsWhere(want); len(wanted) > 0 && !model.Chance(src, 15) {
		if n := len(wanted); n > 2 && model.Chance(src, 75) {
			wanted = wanted[n-2:]
		}
		return model.Pick(src, wanted).Ref
	}
	return model.Pick(src, b.Execs).Ref
}
