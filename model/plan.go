package model

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Ref is the symbolic name of something a step creates: "b1" is a box, "e2" an exec. Plans hold
// refs, never the ids a server assigns, so a plan means the same on every run.
type Ref string

// IsBox reports whether r names a box.
func (r Ref) IsBox() bool { return len(r) > 1 && r[0] == 'b' }

// IsExec reports whether r names an exec.
func (r Ref) IsExec() bool { return len(r) > 1 && r[0] == 'e' }

// Valid reports whether r is "b" or "e" followed by a positive decimal number without leading zeros.
func (r Ref) Valid() bool {
	if !r.IsBox() && !r.IsExec() {
		return false
	}
	n, err := strconv.Atoi(string(r[1:]))
	return err == nil && n > 0 && strconv.Itoa(n) == string(r[1:])
}

// Arg is one key=value of a step.
type Arg struct{ Key, Value string }

// Args are the arguments of a step, sorted by key. They are never changed in place.
type Args []Arg

// Get returns the value of key, or "".
func (a Args) Get(key string) string {
	for _, x := range a {
		if x.Key == key {
			return x.Value
		}
	}
	return ""
}

// Int returns the value of key as a number, or 0 when it is absent or not a number.
func (a Args) Int(key string) int {
	n, _ := strconv.Atoi(a.Get(key))
	return n
}

// Duration returns the value of key as a duration, or 0 when it is absent or not one.
func (a Args) Duration(key string) time.Duration {
	d, _ := time.ParseDuration(a.Get(key))
	return d
}

// Has reports whether key is there.
func (a Args) Has(key string) bool {
	return slices.ContainsFunc(a, func(x Arg) bool { return x.Key == key })
}

// With returns a copy of a in which key has value; an empty value removes key.
func (a Args) With(key, value string) Args {
	out := make(Args, 0, len(a)+1)
	for _, x := range a {
		if x.Key != key {
			out = append(out, x)
		}
	}
	if value != "" {
		out = append(out, Arg{key, value})
	}
	slices.SortFunc(out, func(x, y Arg) int { return strings.Compare(x.Key, y.Key) })
	if len(out) == 0 {
		return nil
	}
	return out
}

// Step is one line of a plan.
type Step struct {
	Client string        // who performs it: "a" to "f"
	Bind   Ref           // what it creates, "" if nothing
	Action string        // registered name of the action
	On     Ref           // the box or exec it acts on, "" if none
	Args   Args          // everything else the action needs
	After  Ref           // do not start before this is bound or has failed to be
	Gap    time.Duration // wait this long once it could start
	Group  int           // steps in a row with the same Group > 0 start together, each after its own Gap
}

// Plan is what a run performs: each client does its steps in order, clients run at the same time.
// A step waits until what it names (On, After) is bound. A ref may only be used
// after the line that binds it, which rules out circular waits; a ref that no line binds is legal
// and stands for something that never existed.
type Plan struct{ Steps []Step }

// Clients returns the names of the clients, in order of first appearance.
func (p Plan) Clients() []string {
	var out []string
	for _, s := range p.Steps {
		if !slices.Contains(out, s.Client) {
			out = append(out, s.Client)
		}
	}
	return out
}

// Clone returns a copy that shares nothing that is ever changed in place.
func (p Plan) Clone() Plan { return Plan{Steps: slices.Clone(p.Steps)} }

// Refs returns every ref s waits for.
func (s Step) Refs() []Ref {
	var out []Ref
	for _, r := range []Ref{s.On, s.After} {
		if r.Valid() && !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out
}

// Problem is a plan that cannot be run, and where.
type Problem struct {
	Step int // index into Plan.Steps
	Text string
}

func (p *Problem) Error() string { return fmt.Sprintf("step %d: %s", p.Step+1, p.Text) }

// Check reports the first rule of the plan form that p breaks, or nil.
func (p Plan) Check() *Problem {
	binds := map[Ref]int{}
	for i, s := range p.Steps {
		if s.Bind == "" {
			continue
		}
		if first, dup := binds[s.Bind]; dup {
			return &Problem{i, fmt.Sprintf("%s is already bound by step %d; give this one another name", s.Bind, first+1)}
		}
		binds[s.Bind] = i
	}
	for i, s := range p.Steps {
		if len(s.Client) != 1 || s.Client[0] < 'a' || s.Client[0] > 'z' {
			return &Problem{i, fmt.Sprintf("client %q is not a letter a to z", s.Client)}
		}
		if s.Gap < 0 {
			return &Problem{i, "gap is negative"}
		}
		for _, r := range s.Refs() {
			if at, ok := binds[r]; ok && at >= i {
				return &Problem{i, fmt.Sprintf("%s is used before step %d binds it; move that line up", r, at+1)}
			}
		}
		if pr := p.checkGroup(i, binds); pr != nil {
			return pr
		}
	}
	return nil
}

// checkGroup rules out groups that could never start: members wait for each other, so no two may
// belong to one client and none may wait for what another of them binds.
func (p Plan) checkGroup(i int, binds map[Ref]int) *Problem {
	g := p.Steps[i].Group
	if g == 0 {
		return nil
	}
	for j := i - 1; j >= 0; j-- {
		if p.Steps[j].Group != g {
			for k := j; k >= 0; k-- {
				if p.Steps[k].Group == g {
					return &Problem{i, "a group of steps that start together must stand in one block"}
				}
			}
			return nil
		}
		if p.Steps[j].Client == p.Steps[i].Client {
			return &Problem{i, fmt.Sprintf("client %s has two steps in one together block; a client does one thing at a time", p.Steps[i].Client)}
		}
		for _, r := range p.Steps[i].Refs() {
			if at, ok := binds[r]; ok && at == j {
				return &Problem{i, fmt.Sprintf("%s is bound inside the same together block; steps that start together cannot wait for each other", r)}
			}
		}
	}
	return nil
}

// Normalize renumbers groups from 1 and dissolves groups of one, so that equal plans are equal values.
func (p Plan) Normalize() Plan {
	out := p.Clone()
	next := 0
	for i := 0; i < len(out.Steps); {
		g, j := out.Steps[i].Group, i+1
		for j < len(out.Steps) && g != 0 && p.Steps[j].Group == g {
			j++
		}
		id := 0
		if j-i > 1 {
			next++
			id = next
		}
		for k := i; k < j; k++ {
			out.Steps[k].Group = id
		}
		i = j
	}
	return out
}
