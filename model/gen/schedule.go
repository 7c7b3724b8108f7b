package gen

import (
	"slices"
	"strconv"

	"pgregory.net/rapid"

	"chaos/model"
)

// What the messages of an action can be held at. Requests and jobs come twice: whether they come
// before or after others decides most.
var holds = map[model.Way][]string{
	model.ToAPI:    {model.HoldRequest, model.HoldAnswer},
	model.ByJob:    {model.HoldRequest, model.HoldRequest, model.HoldJob, model.HoldJob, model.HoldDone, model.HoldReport, model.HoldAnswer},
	model.ToRunner: {model.HoldRequest, model.HoldRequest, model.HoldForward, model.HoldForward, model.HoldReply, model.HoldAnswer},
	model.Session:  {model.HoldRequest, model.HoldRequest, model.HoldForward, model.HoldForward, model.HoldReply, model.HoldAnswer, model.HoldFrames, model.HoldJob},
}

var holdTimes = []string{"1ms", "2ms", "4ms", "8ms", "16ms", "32ms", "64ms"}

// Bounds of a drawn schedule: holds in a plan, and yields, which are the depth of the order less one.
const (
	mostHolds  = 4
	mostYields = 2
)

// Reschedule draws a schedule for the messages of p, in place of the one it has. Most hold a few
// messages, until they meet others or for some time; the rest rank messages about each box in an
// order of their own with few changes (PCTCP). Some cut a session.
func Reschedule(src model.Source, p model.Plan, way func(action string) model.Way) model.Plan {
	p = p.Unscheduled()
	if len(p.Steps) == 0 {
		return p
	}
	roll := src.Intn(100)
	if roll < 30 {
		rank(src, p)
	}
	if roll >= 20 {
		hot := contended(p)
		for range 1 + src.Intn(mostHolds) {
			i := src.Intn(len(p.Steps))
			if len(hot) > 0 && model.Chance(src, 85) {
				i = model.Pick(src, hot)
			}
			hold(src, p, i, model.Pick(src, holds[way(p.Steps[i].Action)]))
		}
	}
	if roll := src.Intn(100); roll < 20 {
		cutOne(src, p, way, roll < 10)
	}
	return p
}

// contended returns the steps about a box that several clients are busy with, and those that make boxes
// if several clients do: holding any other message makes no race.
func contended(p model.Plan) []int {
	lane := p.Home()
	clients := map[model.Ref][]string{}
	for i, s := range p.Steps {
		if s.Bind.IsBox() {
			lane[i] = "new"
		}
		if lane[i] != "" && !slices.Contains(clients[lane[i]], s.Client) {
			clients[lane[i]] = append(clients[lane[i]], s.Client)
		}
	}
	var out []int
	for i := range p.Steps {
		if len(clients[lane[i]]) > 1 {
			out = append(out, i)
		}
	}
	return out
}

func hold(src model.Source, p model.Plan, i int, key string) {
	value := model.Pick(src, holdTimes)
	if model.Chance(src, 60) && key != model.HoldReport && key != model.HoldFrames {
		value = model.Meet
	}
	set(p, i, key, value)
}

func set(p model.Plan, i int, key, value string) { p.Steps[i].Args = p.Steps[i].Args.With(key, value) }

// rank gives the steps of each box ranks in random order, and lets a few yield after some messages.
func rank(src model.Source, p model.Plan) {
	of := map[model.Ref][]int{}
	var boxes []model.Ref
	for i, home := range p.Home() {
		if home == "" {
			continue
		}
		if of[home] == nil {
			boxes = append(boxes, home)
		}
		of[home] = append(of[home], i)
	}
	for _, box := range boxes {
		steps := shuffled(src, of[box])
		for r, i := range steps {
			if model.Chance(src, 70) { // what has no rank does not wait
				set(p, i, model.Rank, strconv.Itoa(r+1))
			}
		}
		for range src.Intn(mostYields + 1) {
			set(p, model.Pick(src, steps), model.Yield, strconv.Itoa(1+src.Intn(3)))
		}
	}
}

// cutOne cuts a session after some frames, on one side only if half: mostly one after which somebody
// asks for the same execution again.
func cutOne(src model.Source, p model.Plan, way func(string) model.Way, half bool) {
	var sessions, again []int
	for i, s := range p.Steps {
		if way(s.Action) != model.Session {
			continue
		}
		sessions = append(sessions, i)
		of := s.On
		if s.Bind.IsExec() {
			of = s.Bind
		}
		if slices.ContainsFunc(p.Steps[i+1:], func(later model.Step) bool { return later.On == of && way(later.Action) == model.Session }) {
			again = append(again, i)
		}
	}
	if len(again) > 0 && model.Chance(src, 80) {
		sessions = again
	}
	if len(sessions) == 0 {
		return
	}
	key := model.CutFrame
	if half {
		key = model.HalfClose
	}
	frames := 1
	if model.Chance(src, 40) { // most sessions are short
		frames = 1 + src.Intn(3)
	}
	set(p, model.Pick(src, sessions), key, strconv.Itoa(frames))
}

// ways returns how far the messages of each action go.
func ways(actions []model.Drawable, more ...model.Drawable) func(string) model.Way {
	of := map[string]model.Way{}
	for _, a := range slices.Concat(actions, more) {
		of[a.Spec().Name] = a.Spec().Way
	}
	return func(name string) model.Way { return of[name] }
}

// ScheduleAt draws a schedule for p at seed.
func ScheduleAt(p model.Plan, way func(action string) model.Way, seed int64) model.Plan {
	return rapid.Custom(func(t *rapid.T) model.Plan { return Reschedule(uniform{t}, p, way) }).Example(int(seed))
}
