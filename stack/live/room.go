package live

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"
)

// filled returns c with the defaults in place of what is 0.
func (c Caps) filled() Caps {
	return Caps{cmp.Or(c.Boxes, DefaultCaps.Boxes), cmp.Or(c.CreatesPerMinute, DefaultCaps.CreatesPerMinute), cmp.Or(c.OutputBytes, DefaultCaps.OutputBytes)}
}

// room keeps plans waiting until the caps allow what they make. The guard refuses what the caps forbid;
// by waiting here instead, a plan keeps its own timing.
type room struct {
	caps  Caps
	boxes *semaphore.Weighted
	rate  *rate.Limiter
}

// newRoom splits the creates of a minute into some that may come at once and a steady rate, so that
// together they are no more in any minute.
func newRoom(caps Caps) *room {
	burst := max(1, min(50, caps.CreatesPerMinute/2))
	steady := rate.Limit(float64(caps.CreatesPerMinute-burst) / time.Minute.Seconds())
	return &room{caps, semaphore.NewWeighted(int64(caps.Boxes)), rate.NewLimiter(max(steady, rate.Limit(1.0/60)), burst)}
}

// Reserve implements stack.Reserver.
func (t *Target) Reserve(ctx context.Context, boxes int) (release func(), err error) {
	r := t.room
	if boxes > r.caps.Boxes {
		return nil, &ConfigError{fmt.Sprintf("a plan makes %d boxes, and --max-boxes allows %d", boxes, r.caps.Boxes)}
	}
	if err := r.boxes.Acquire(ctx, int64(boxes)); err != nil {
		return nil, err
	}
	for left := boxes; left > 0 && err == nil; left -= r.rate.Burst() {
		err = r.rate.WaitN(ctx, min(left, r.rate.Burst()))
	}
	if err != nil {
		r.boxes.Release(int64(boxes))
		if ctx.Err() == nil {
			err = context.DeadlineExceeded // there would be room, but not in the time there is
		}
		return nil, err
	}
	return func() { r.boxes.Release(int64(boxes)) }, nil
}
