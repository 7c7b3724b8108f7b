package actions

import (
	"fmt"
	"time"

	"chaos/model"
)

// The arguments of exec that decide how its command ends.

const (
	shortestLimit = 100 * time.Millisecond // what the specification allows
	longestLimit  = 10 * time.Second
	hangTime      = time.Minute
)

func timeLimit(v string) error {
	d, err := time.ParseDuration(v)
	if err != nil || d < shortestLimit || d > longestLimit {
		return fmt.Errorf("want a duration from %s to %s, like 200ms", shortestLimit, longestLimit)
	}
	return nil
}

// drawEnding gives some execs a time limit: mostly one that must end them, else one that is far away
// or races with the command's own end. A few execs ignore the signal that comes at the limit.
func drawEnding(src model.Source, a model.Args) model.Args {
	limited := model.Chance(src, 7)
	switch {
	case limited && model.Chance(src, 65):
		a = a.With("timeout", model.Pick(src, []string{"100ms", "150ms", "250ms"})).With("hang", "yes")
		if !a.Has("tty") && model.Chance(src, 40) {
			a = a.With("child", "yes")
		}
	case limited:
		a = a.With("timeout", model.Pick(src, []string{"100ms", "200ms", "2s", "5s"}))
	}
	if limited && model.Chance(src, 25) || model.Chance(src, 2) {
		a = a.With("deaf", "yes")
	}
	return a
}

// withEnding completes p. What hangs without a limit would hang for good, so it does not.
func withEnding(p model.Payload, a model.Args) model.Payload {
	p.Timeout, p.Deaf = a.Duration("timeout"), a.Has("deaf")
	if p.Timeout > 0 && a.Has("hang") {
		p.Sleep, p.Watch = hangTime, 0
	}
	return p
}
