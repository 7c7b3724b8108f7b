package campaign

import (
	"context"
	"errors"
	"sync"
	"time"

	"pgregory.net/rapid"

	"chaos/model"
	"chaos/model/gen"
)

// Failure is a plan that broke a promise.
type Failure struct {
	Index     int // number of the plan in the campaign, from 0
	Seed      int64
	Plan      model.Plan
	History   *model.History
	Violation model.Violation
	After     time.Duration // since the search began
}

// Search performs random plans until it is told to stop.
type Search struct {
	Rig     *Rig
	Plans   *rapid.Generator[model.Plan]
	Seed    int64
	Workers int
	// Next is the number of the next plan; a search that is called again goes on where it stopped.
	Next int
	// Judged is told of every history of the search.
	Judged func(*model.History, model.Verdict)
	// Known says which signatures are no news.
	Known func(model.Signature) bool
	began time.Time
}

// Until performs plans until ctx ends, limit plans are done (0 = no limit), or a plan fails with a
// signature that is not Known. It returns the failures with news, at most one for each signature.
func (s *Search) Until(ctx context.Context, limit int) ([]Failure, error) {
	if s.began.IsZero() {
		s.began = time.Now()
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var (
		mu    sync.Mutex
		wg    sync.WaitGroup
		news  []Failure
		fatal error
	)
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		if ctx.Err() != nil || len(news) > 0 || fatal != nil || limit > 0 && s.Next >= limit {
			return 0, false
		}
		s.Next++
		return s.Next - 1, true
	}
	for range max(1, s.Workers) {
		wg.Go(func() {
			for {
				i, ok := take()
				if !ok {
					return
				}
				found, err := s.one(ctx, i)
				mu.Lock()
				news = appendNew(news, found)
				if err != nil && fatal == nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
					fatal = err
					stop()
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return news, fatal
}

func appendNew(news, found []Failure) []Failure {
	for _, f := range found {
		dup := false
		for _, n := range news {
			dup = dup || n.Violation.Signature == f.Violation.Signature
		}
		if !dup {
			news = append(news, f)
		}
	}
	return news
}

// one performs plan i and returns what it found that is not known.
func (s *Search) one(ctx context.Context, i int) ([]Failure, error) {
	seed := PlanSeed(s.Seed, i)
	plan := gen.At(s.Plans, seed)
	h, v, err := s.Rig.Perform(ctx, plan, seed)
	if err != nil {
		return nil, err
	}
	if s.Judged != nil {
		s.Judged(h, v)
	}
	// Later violations of the same run are often consequences of the first; those that are not will
	// come first in some other plan.
	first := -1
	for k, x := range v.Violations {
		if !s.Known(x.Signature) && (first < 0 || shownAt(h, x) < shownAt(h, v.Violations[first])) {
			first = k
		}
	}
	if first < 0 {
		return nil, nil
	}
	return []Failure{{Index: i, Seed: seed, Plan: plan, History: h, Violation: v.Violations[first], After: time.Since(s.began)}}, nil
}

// shownAt is when the violation could be seen; those that no call shows come last.
func shownAt(h *model.History, v model.Violation) int64 {
	if len(v.Calls) == 0 {
		return 1<<63 - 1
	}
	return h.Calls[callIndex(h, v.Calls[0])].Return
}
