package shrink

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"chaos/model"
)

// words is a small vocabulary.
type words struct{}

var fakeSpecs = map[string]*model.Spec{
	"create": {Name: "create", Binds: 'b', Args: []model.ArgSpec{{Name: "image", Simpler: []string{"", "alpine", "debian"}}}},
	"exec": {Name: "exec", On: 'b', Binds: 'e', Args: []model.ArgSpec{
		{Name: "stdout", Simpler: []string{"1"}, Check: func(v string) error {
			if n, err := strconv.Atoi(v); err != nil || n < 1 {
				return fmt.Errorf("not a positive number")
			}
			return nil
		}},
		{Name: "sleep"}, {Name: "tty"},
	}},
	"start": {Name: "start", On: 'b'}, "stop": {Name: "stop", On: 'b'}, "remove": {Name: "remove", On: 'b'},
	"get": {Name: "get", On: 'b'}, "info": {Name: "info", On: 'e'}, "list": {Name: "list"},
}

func (words) Lookup(name string) (*model.Spec, bool) { s, ok := fakeSpecs[name]; return s, ok }

func (words) Names() []string {
	out := make([]string, 0, len(fakeSpecs))
	for n := range fakeSpecs {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// randomPlan draws about n steps of 1 to 4 clients on a few boxes, with together blocks, waits and gaps.
func randomPlan(rng *rand.Rand, n int) model.Plan {
	var p model.Plan
	boxes, execs, group := 0, 0, 0
	clients := 1 + rng.IntN(4)
	for len(p.Steps) < n {
		together := 1
		if clients > 1 && rng.IntN(4) == 0 {
			together, group = 2+rng.IntN(clients-1), group+1
		}
		first, haveB, haveE := rng.IntN(clients), boxes, execs
		for k := range together {
			s := randomStep(rng, haveB, haveE)
			s.Client = string(rune('a' + (first+k)%clients))
			if together > 1 {
				s.Group = group
			}
			switch s.Action {
			case "create":
				boxes++
				s.Bind = model.Ref(fmt.Sprintf("b%d", boxes))
			case "exec":
				execs++
				s.Bind = model.Ref(fmt.Sprintf("e%d", execs))
			}
			p.Steps = append(p.Steps, s)
		}
	}
	return p
}

func randomStep(rng *rand.Rand, boxes, execs int) model.Step {
	var s model.Step
	s.Action = []string{"create", "exec", "exec", "exec", "start", "stop", "remove", "get", "info", "list"}[rng.IntN(10)]
	if boxes == 0 || (s.Action == "info" && execs == 0) {
		s.Action = "create"
	}
	switch fakeSpecs[s.Action].On {
	case 'b':
		s.On = model.Ref(fmt.Sprintf("b%d", 1+rng.IntN(boxes)))
	case 'e':
		s.On = model.Ref(fmt.Sprintf("e%d", 1+rng.IntN(execs)))
	}
	if s.Action == "exec" {
		s.Args = s.Args.With("stdout", strconv.Itoa(1+rng.IntN(300)))
		if rng.IntN(3) == 0 {
			s.Args = s.Args.With("sleep", (time.Duration(1+rng.IntN(200)) * time.Millisecond).String())
		}
	}
	if s.Action == "create" && rng.IntN(2) == 0 {
		s.Args = s.Args.With("image", []string{"alpine", "debian", "fedora"}[rng.IntN(3)])
	}
	if boxes > 0 && rng.IntN(5) == 0 {
		s.After = model.Ref(fmt.Sprintf("b%d", 1+rng.IntN(boxes)))
	}
	if rng.IntN(4) == 0 {
		s.Gap = time.Duration(1+rng.IntN(9000)) * time.Microsecond
	}
	return s
}

// A bug tells whether a plan holds it.
type bug func(model.Plan) bool

// planWith draws a plan of about n steps that holds the bug.
func planWith(rng *rand.Rand, n int, holds bug) model.Plan {
	for {
		if p := randomPlan(rng, n); holds(p) {
			return p
		}
	}
}

// boxStates calls see before each step or block with the boxes that run then.
func boxStates(p model.Plan, see func(first, last int, running map[model.Ref]bool)) {
	running := map[model.Ref]bool{}
	for i := 0; i < len(p.Steps); i++ {
		first, last := members(p, i)
		see(first, last, running)
		for _, s := range p.Steps[first : last+1] {
			switch s.Action {
			case "create":
				running[s.Bind] = true
			case "start":
				if _, known := running[s.On]; known {
					running[s.On] = true
				}
			case "stop":
				if running[s.On] {
					running[s.On] = false
				}
			case "remove":
				delete(running, s.On)
			}
		}
		i = last
	}
}

// stopRace needs a running box that was exec'ed before, and a stop together with an exec on it.
// Its shortest plan has four steps of two clients.
func stopRace(p model.Plan) bool {
	found := false
	used := map[model.Ref]bool{}
	boxStates(p, func(first, last int, running map[model.Ref]bool) {
		block := p.Steps[first : last+1]
		for _, s := range block {
			for _, x := range block {
				found = found || (s.Action == "stop" && x.Action == "exec" && s.On == x.On && running[s.On] && used[s.On])
			}
		}
		for _, s := range block {
			if s.Action == "exec" && running[s.On] {
				used[s.On] = true
			}
		}
	})
	return found
}

// bigOutput needs an exec on a running box that writes at least 37 lines.
func bigOutput(p model.Plan) bool {
	found := false
	boxStates(p, func(first, last int, running map[model.Ref]bool) {
		for _, s := range p.Steps[first : last+1] {
			found = found || (s.Action == "exec" && running[s.On] && s.Args.Int("stdout") >= 37)
		}
	})
	return found
}

// lateStop needs a stop that starts together with an exec and at least 2 ms after it.
func lateStop(p model.Plan) bool {
	found := false
	boxStates(p, func(first, last int, running map[model.Ref]bool) {
		for _, s := range p.Steps[first : last+1] {
			for _, x := range p.Steps[first : last+1] {
				found = found || (s.Action == "stop" && x.Action == "exec" && s.On == x.On && running[s.On] && s.Gap-x.Gap >= 2*time.Millisecond)
			}
		}
	})
	return found
}

// fake is a system with one bug that shows with a probability, and noise with the same signature.
type fake struct {
	mu    sync.Mutex
	rng   *rand.Rand
	holds bug
	rate  func(model.Plan) float64
	noise float64
	runs  []model.Plan
	fails []bool
}

func newFake(seed uint64, holds bug, p, noise float64) *fake {
	return &fake{rng: rand.New(rand.NewPCG(seed, 7)), holds: holds, rate: func(model.Plan) float64 { return p }, noise: noise}
}

func (f *fake) run(_ context.Context, p model.Plan) (Outcome, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := Outcome{Failed: f.rng.Float64() < f.noise}
	if f.holds(p) && f.rng.Float64() < f.rate(p) {
		out.Failed = true
	}
	f.runs = append(f.runs, p)
	f.fails = append(f.fails, out.Failed)
	return out, nil
}
