package model

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// The arguments with which any step of a plan schedules its own messages: the request on its way to
// the API and, further on, to the runner, the job it becomes, the answers on their way back, the
// frames of an attach session. They are arguments like all others, so a schedule is part of the
// plan's text, replays with it, and is shrunk with it.
const (
	HoldRequest = "hold-request" // client → API
	HoldForward = "hold-forward" // API → runner: exec, attach and what else the API passes on
	HoldReply   = "hold-reply"   // runner → API, the answer to it
	HoldAnswer  = "hold-answer"  // API → client
	HoldJob     = "hold-job"     // API → runner: the job that makes, starts, stops or removes the box
	HoldDone    = "hold-done"    // runner → API: the report that the job is done
	HoldReport  = "hold-report"  // runner → API: the next report of all boxes after the request
	HoldFrames  = "hold-frames"  // API → client: each frame of an attach session
	CutFrame    = "cut-frame"    // both ends of an attach session lose their connection after this many frames
	HalfClose   = "half-close"   // only the client loses it: the server goes on as if nothing were
	Rank        = "rank"         // of messages about one box that wait at once, the lowest goes first
	Yield       = "yield"        // after this many messages of its own the step ranks behind all others
)

// Meet, in place of a duration, holds a message until one of another step about the same box passes on
// its way to the API or the runner, or for 100 ms at most. It needs no luck with times.
const Meet = "meet"

// Bounds of a schedule.
const (
	MaxHold = 2 * time.Second
	maxRank = 99
)

func holdArg(name, doc string) ArgSpec {
	return ArgSpec{Name: name, Doc: doc, Check: func(v string) error {
		if d, err := time.ParseDuration(v); v != Meet && (err != nil || d <= 0 || d > MaxHold) {
			return fmt.Errorf("want %s, or a duration up to %s, like 5ms", Meet, MaxHold)
		}
		return nil
	}}
}

// timeArg is a holdArg that takes a duration only.
func timeArg(name, doc string) ArgSpec {
	a := holdArg(name, doc)
	return ArgSpec{Name: name, Doc: doc, Check: func(v string) error {
		if v == Meet {
			return fmt.Errorf("want a duration up to %s, like 5ms", MaxHold)
		}
		return a.Check(v)
	}}
}

func countArg(name, doc string) ArgSpec {
	return ArgSpec{Name: name, Doc: doc, Check: func(v string) error {
		if n, err := strconv.Atoi(v); err != nil || n < 1 || n > maxRank {
			return fmt.Errorf("want a whole number from 1 to %d", maxRank)
		}
		return nil
	}}
}

var scheduleArgs = []ArgSpec{
	holdArg(HoldRequest, "hold the request for this long before it reaches the API"),
	holdArg(HoldForward, "hold it again between API and runner"),
	holdArg(HoldReply, "hold the runner's answer on its way to the API"),
	holdArg(HoldAnswer, "hold the API's answer"),
	holdArg(HoldJob, "hold the job that it becomes on its way to the runner"),
	holdArg(HoldDone, "hold the runner's word that the job is done"),
	timeArg(HoldReport, "hold the next report of the runner about its boxes"),
	timeArg(HoldFrames, "hold each frame of the attach session"),
	countArg(CutFrame, "cut the attach session's connection after this many frames"),
	countArg(HalfClose, "after this many frames cut it on the client's side only; the server is not told"),
	countArg(Rank, "of messages about one box that wait at once, the one with the lowest rank goes first"),
	countArg(Yield, "after this many of its messages the step ranks behind all others"),
}

// ScheduleArgs describes the arguments that every action takes, for the scheduling of its messages.
func ScheduleArgs() []ArgSpec { return slices.Clone(scheduleArgs) }

func scheduleArg(name string) (ArgSpec, bool) {
	i := slices.IndexFunc(scheduleArgs, func(a ArgSpec) bool { return a.Name == name })
	if i < 0 {
		return ArgSpec{}, false
	}
	return scheduleArgs[i], true
}

// Scheduled reports whether the step schedules any of its messages.
func (s Step) Scheduled() bool {
	return slices.ContainsFunc(s.Args, func(a Arg) bool { _, ok := scheduleArg(a.Key); return ok })
}

// Scheduled reports whether any step of the plan schedules its messages, which needs a stack with a
// scheduler.
func (p Plan) Scheduled() bool { return slices.ContainsFunc(p.Steps, Step.Scheduled) }

// Unscheduled returns p without the schedule of its messages.
func (p Plan) Unscheduled() Plan {
	out := p.Clone()
	for i := range out.Steps {
		for _, a := range scheduleArgs {
			if out.Steps[i].Args.Has(a.Name) {
				out.Steps[i].Args = out.Steps[i].Args.With(a.Name, "")
			}
		}
	}
	return out
}

// Home returns the box that each step is about, "" for those about none.
func (p Plan) Home() []Ref {
	of := map[Ref]Ref{}
	out := make([]Ref, len(p.Steps))
	for i, s := range p.Steps {
		switch {
		case s.On.IsExec():
			out[i] = of[s.On]
		case s.On != "":
			out[i] = s.On
		case s.Bind.IsBox():
			out[i] = s.Bind
		}
		if s.Bind.IsExec() {
			of[s.Bind] = out[i]
		}
	}
	return out
}

// Message is something that the scheduler did to a message of a step.
type Message struct {
	Step int    `json:"step"`
	What string `json:"what"`          // one of the arguments above
	At   int64  `json:"at"`            // nanoseconds since the run began
	For  int64  `json:"for,omitempty"` // how long it was held, nanoseconds
}

// cuts reports whether the connection of attach session c was cut.
func (m *Message) cuts(c *Call) bool {
	return (m.What == CutFrame || m.What == HalfClose) && c.Op == OpAttach && c.Step == m.Step && c.Invoke <= m.At && m.At <= c.Return && (c.Attach == nil || c.Attach.Close == 0)
}
