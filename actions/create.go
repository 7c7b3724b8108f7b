package actions

import (
	"context"
	"net/http"

	"chaos/model"
	"chaos/stack"
)

type create struct{}

var _ = register(create{})

// badCreates are requests a server must refuse, by the variant that names them.
var badCreates = map[string]func(body map[string]any){
	"cpus-zero":       func(b map[string]any) { b["cpus"] = 0 },
	"cpus-huge":       func(b map[string]any) { b["cpus"] = 999 },
	"memory-negative": func(b map[string]any) { b["memory_mib"] = -1 },
	"name-blank":      func(b map[string]any) { b["name"] = "" },
	"unknown-image":   func(b map[string]any) { b["image"] = "chaos-no-such-image:latest" },
}

func (create) Spec() *model.Spec {
	return &model.Spec{
		Name: "create", Doc: "make a box and wait until the server says it is there", Binds: 'b', Weight: 4, Way: model.ByJob,
		Args: []model.ArgSpec{
			{Name: "bad", Doc: "ask for something that must be refused: cpus-zero, cpus-huge, memory-negative, name-blank, unknown-image",
				Check: oneOf("cpus-zero", "cpus-huge", "memory-negative", "name-blank", "unknown-image")},
			{Name: "cpus", Doc: "ask for so many", Simpler: []string{"1"}, Check: number(1, 4)},
			giveUp,
			{Name: "memory", Doc: "ask for so many MiB: 256, 512, 1024, 1536 or 2048", Simpler: []string{"1024"}, Check: oneOf(memories...)},
			{Name: "name", Doc: "ask for this name instead of one of its own, so that creates compete for it: n1 or n2", Check: oneOf("n1", "n2")},
		},
	}
}

// memories are sizes every server has room for; one is no whole number of GiB, which the API rounds up.
var memories = []string{"256", "512", "1024", "1536", "2048"}

// maxBoxes bounds the boxes one plan asks for: a plan is about few boxes with much going on.
const maxBoxes = 5

func (create) Ready(b model.Belief) bool { return len(b.Boxes) < maxBoxes }

func (create) Draw(src model.Source, b model.Belief) model.Step {
	s := model.Step{Action: "create", Bind: b.NextBox()}
	if s.Args = drawGiveUp(src, nil); s.Args.Has(giveUp.Name) {
		return s
	}
	old := freed(b)
	switch {
	case old != "" && model.Chance(src, 60):
		s.Args = args("name", old)
	case model.Chance(src, 35):
		s.Args = args("name", model.Pick(src, []string{"n1", "n1", "n1", "n2"}))
	case model.Chance(src, 12):
		s.Args = args("bad", model.Pick(src, []string{"cpus-zero", "cpus-huge", "memory-negative", "name-blank", "unknown-image"}))
		return s
	}
	if model.Chance(src, 8) {
		s.Args = s.Args.With("cpus", model.Pick(src, []string{"1", "2"}))
	}
	if model.Chance(src, 8) {
		s.Args = s.Args.With("memory", model.Pick(src, memories))
	}
	return s
}

// freed returns the shared name of a removed box in which execs have left something, "" if there is none.
// What a name leaves behind shows when it is used again.
func freed(b model.Belief) string {
	for _, x := range b.In(model.Gone) {
		if x.Name != "" && left(b, x.Ref) {
			return x.Name
		}
	}
	return ""
}

func (create) Next(b *model.Belief, s model.Step) {
	state := model.Running
	if s.Args.Has("bad") {
		state = model.Absent
	}
	b.Boxes = append(b.Boxes, model.BelievedBox{Ref: s.Bind, State: state, Name: s.Args.Get("name")})
}

func (create) Perform(ctx context.Context, env *Env, s model.Step) {
	c := env.call(model.OpCreate, "")
	c.Box = s.Bind
	c.Name = env.Refs.Token() + "-" + string(s.Bind)
	if label := s.Args.Get("name"); label != "" {
		c.Variant, c.Name = "shared-name", env.Refs.Token()+"-"+label
	}
	body := map[string]any{"image": "alpine:latest", "name": c.Name}
	if c.CPUs = s.Args.Int("cpus"); c.CPUs != 0 {
		body["cpus"] = c.CPUs
	}
	if c.MemoryMiB = s.Args.Int("memory"); c.MemoryMiB != 0 {
		body["memory_mib"] = c.MemoryMiB
	}
	if bad := s.Args.Get("bad"); bad != "" {
		c.Variant = bad
		badCreates[bad](body)
	}
	done := env.Owned.Begin()
	// A create that is cut off may still make a box, after everything was listed and removed. So it is
	// waited for even when the run is interrupted.
	env.send(context.WithoutCancel(ctx), c, stack.Request{Method: http.MethodPost, Path: "/boxes", Body: body})
	id := ""
	if len(c.Boxes) == 1 {
		id = c.Boxes[0].ID
	}
	done(id, c.Outcome != model.Unknown)
	if id == "" && c.Outcome == model.Unknown && c.Variant == "" {
		// The box may be there. Servers find it by its name, which nobody else has.
		id = c.Name
	}
	env.Refs.BindBox(s.Bind, id)
}
