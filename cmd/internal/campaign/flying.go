package campaign

import (
	"context"
	"sync"
	"time"

	"chaos/model"
)

// CleanupLimit is how long a plan may go on after its context has ended, to remove its boxes. A create
// is waited for, since it may still make a box, and a server that boots virtual machines takes up to
// 30 s to answer one. A plan that takes longer is given up: the stack hangs.
const CleanupLimit = 35 * time.Second

// flying counts the plans that are being performed. It is safe for concurrent use.
type flying struct {
	mu      sync.Mutex
	now     int
	news    time.Time // when the last plan began in the empty air, or ended
	givenUp int
}

func (f *flying) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now++; f.now == 1 {
		f.news = time.Now()
	}
}

func (f *flying) end(givenUp bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now--
	f.news = time.Now()
	if givenUp {
		f.givenUp++
	}
}

// attempt performs p, and gives it up when it has not ended some time after ctx has.
func (r *Rig) attempt(ctx context.Context, p model.Plan, token string, seed int64) (*model.History, error) {
	type result struct {
		h   *model.History
		err error
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	r.flying.begin()
	done := make(chan result, 1)
	go func() {
		h, err := r.engine.Run(ctx, p, token, seed)
		done <- result{h, err}
	}()
	select {
	case got := <-done:
		r.flying.end(false)
		return got.h, got.err
	case <-ctx.Done():
	}
	late := time.NewTimer(r.grace)
	defer late.Stop()
	select {
	case got := <-done:
		r.flying.end(false)
		return got.h, got.err
	case <-late.C:
		r.flying.end(true)
		return nil, ctx.Err()
	}
}

// Run returns what the names of all boxes of this rig begin with.
func (r *Rig) Run() string { return r.run }

// GivenUp returns how many plans did not end after they were cut off. Their boxes may be left.
func (r *Rig) GivenUp() int {
	r.flying.mu.Lock()
	defer r.flying.mu.Unlock()
	return r.flying.givenUp
}

// Silence returns how long no plan has ended although some are under way, and how many those are.
func (r *Rig) Silence() (time.Duration, int) {
	r.flying.mu.Lock()
	defer r.flying.mu.Unlock()
	if r.flying.now == 0 {
		return 0, 0
	}
	return time.Since(r.flying.news), r.flying.now
}
