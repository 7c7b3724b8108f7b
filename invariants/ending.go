package invariants

import (
	"fmt"
	"strings"
	"time"

	"chaos/model"
)

// disturbance is what may have ended an exec, or cut its output, from outside.
type disturbance struct {
	box     bool  // its box may not have been running all the time
	killed  bool  // a DELETE
	limited bool  // its time limit may have been reached
	signals []int // sent to it and not ignored by everything
}

func (d disturbance) any() bool { return d.box || d.killed || d.limited || len(d.signals) > 0 }

// String is for signatures: the strongest disturbance only, so that one bug does not get a signature
// for each mixture.
func (d disturbance) String() string {
	switch {
	case d.box:
		return "box changed"
	case d.killed:
		return "killed"
	case d.limited:
		return "time limit"
	case len(d.signals) > 0:
		return "signalled"
	}
	return "undisturbed"
}

// sigWinch is ignored by everything a payload runs.
const sigWinch = 28

// clockSlack is how far a server's count of a time may be from ours: it may count in other units.
const clockSlack = 10 * time.Millisecond

// disturbed returns what can have disturbed x up to a moment.
func (f *Facts) disturbed(x *Exec, until int64) disturbance {
	d := disturbance{box: f.Timeline(x.Start.Box).Over(x.Start.Invoke, until)&^f.calm() != 0 || f.Forgets(x.Start, until) != nil}
	for _, c := range x.Kills {
		d.killed = d.killed || c.Invoke <= until
	}
	for _, c := range x.Signals {
		if c.Invoke <= until && c.Signal != sigWinch {
			d.signals = append(d.signals, c.Signal)
		}
	}
	// The limit counts from a start that is no earlier than the request, and what was over before then
	// has not reached it, however much later it is looked at.
	if limit := x.Start.Payload.Timeout; limit > 0 {
		d.limited = min(until, x.Ended) >= x.Start.Invoke+int64(limit-clockSlack)
	}
	return d
}

func (x *Exec) sawEnd(at int64, c *model.Call) {
	if at < x.Ended {
		x.Ended, x.EndedBy = at, c
	}
}

// ownEnd is the earliest moment at which the command can have come to its end by itself.
func (x *Exec) ownEnd() int64 { return x.Start.Invoke + int64(x.Start.Payload.Least()-clockSlack) }

// deadly are the signals that end every shell at once that does not ignore them, and that nobody
// makes a server ignore, which its commands would inherit: INT and QUIT are ignored by what a shell
// puts into the background, HUP by what nohup starts. INT alone also leaves some shells running when
// it was not the end of what they wait for.
var deadly = map[int]bool{6: true, 10: true, 12: true, 15: true}

// struck reports whether something surely ended the command before it could do so by itself.
func (x *Exec) struck() bool {
	for _, c := range x.Kills {
		if c.Outcome == model.OK && c.Return < x.ownEnd() {
			return true
		}
	}
	for _, c := range x.Signals {
		if c.Outcome == model.OK && c.Return < x.ownEnd() && deadly[c.Signal] && !(x.Start.Payload.Deaf && c.Signal == 15) {
			return true
		}
	}
	return false
}

// codes is the set of exit codes that an exec may have.
type codes struct {
	disturbance
	own    int
	itself bool // it may have come to its own end
}

// codesOf returns what x may have ended with. What came after its end was seen did not end it.
func (f *Facts) codesOf(x *Exec) codes {
	c := codes{disturbance: f.disturbed(x, x.Ended), own: x.Start.Payload.Exit, itself: true}
	if c.any() && !c.box {
		// A box that goes down in good order may end the parts of a command one by one, so that the rest
		// comes to its end early. Everything else ends the whole or nothing.
		c.itself = x.Ended >= x.ownEnd() && !x.struck()
	}
	return c
}

// forced reports whether something from outside explains the code.
func (c codes) forced(code int) bool {
	for _, sig := range c.signals {
		if sameCode(code, 128+sig) {
			return true
		}
	}
	return c.killed && (sameCode(code, 137) || code == -1) ||
		c.box && (sameCode(code, 137) || sameCode(code, 143) || code == -1) ||
		c.limited && code != 0 // which one is not said
}

func (c codes) allow(code int) bool { return c.itself && code == c.own || c.forced(code) }

func (c codes) String() string {
	var out []string
	if c.itself {
		out = append(out, fmt.Sprint(c.own))
	}
	for _, sig := range c.signals {
		out = append(out, fmt.Sprintf("%d", 128+sig))
	}
	if c.killed || c.box {
		out = append(out, "137", "-1")
	}
	if c.box {
		out = append(out, "143")
	}
	if c.limited {
		out = append(out, "any but 0")
	}
	return strings.Join(out, " or ")
}

// sameCode compares exit codes modulo the two ways to tell death by a signal: −N and 128+N.
func sameCode(a, b int) bool {
	norm := func(x int) int {
		if x < 0 {
			return 128 - x
		}
		return x
	}
	return norm(a) == norm(b)
}
