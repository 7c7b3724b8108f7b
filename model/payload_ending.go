package model

import "time"

// Within is how long the exec takes at most, leaving out the time the machine needs. What ignores
// the end of its time limit is killed grace later.
func (p Payload) Within(grace time.Duration) time.Duration {
	d := p.Duration()
	if p.Timeout > 0 {
		d = min(d, p.Timeout+grace)
	}
	return d
}

// Least is the shortest time in which the exec can come to its end by itself: the script says its
// pauses in whole milliseconds.
func (p Payload) Least() time.Duration {
	if p.Binary != "" {
		return 0
	}
	least := p.Sleep.Truncate(time.Millisecond)
	if p.Watch > 0 {
		least += time.Duration(p.looks()) * watchTick
	}
	return least
}

// looks is how often a watching exec looks at the size of its terminal before it goes on.
func (p Payload) looks() int { return max(1, int(p.Watch/watchTick)) }
