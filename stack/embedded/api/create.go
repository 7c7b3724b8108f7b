package api

import (
	"context"
	"math/rand/v2"
	"net/http"
	"time"

	"go.uber.org/zap"

	"chaos/stack/embedded/bugs"
)

// create makes a box and answers when it runs; in the profile serve, when it is there.
func (s *Server) create(w http.ResponseWriter, r *http.Request, org string) error {
	var q createRequest
	if err := readJSON(r, &q); err != nil {
		return s.badBody(err)
	}
	sp, err := q.check(s.cfg.bugs)
	if err != nil {
		return err
	}
	sp.AutoResume = s.cfg.Autostart && (q.AutoResume == nil || *q.AutoResume)
	bad := checkImage(sp.Image)
	if bad != nil && !s.cfg.bugs.Has(bugs.RefusedCreateLeavesRow) {
		return bad
	}
	if _, up := s.store.runnerURL(runnerSilence); !up {
		return errNoRunner
	}
	row, err := s.admit(r.Context(), org, sp)
	if err != nil {
		return err
	}
	if bad != nil {
		s.store.markFailed(row)
		return bad
	}
	s.log.Info("box admitted", zap.String("box", row.id), zap.String("org", org), zap.String("box_name", row.name))
	s.releaseLater(row.job)
	row, err = s.await(r.Context(), row.job)
	if err != nil {
		return err
	}
	w.Header().Set("Location", s.cfg.base+"/v1/boxes/"+row.id)
	writeJSON(w, http.StatusCreated, row.json())
	return nil
}

// admit inserts the row of a new box. The name and the number of boxes are checked in the same
// transaction as the insert; what has to be read for it is read before.
func (s *Server) admit(ctx context.Context, org string, sp spec) (record, error) {
	limit, open := s.orgs.limit(org)
	if !open {
		return record{}, errUnauthed
	}
	early := admission{uniqueName: s.cfg.bugs.Has(bugs.NameRace)}
	atomic := admission{uniqueName: !early.uniqueName, limit: limit}
	if s.cfg.bugs.Has(bugs.QuotaRace) {
		early.limit, atomic.limit = limit, 0
	}
	if err := s.store.admissible(org, sp, early); err != nil {
		return record{}, err
	}
	if err := s.awaitDatabase(ctx); err != nil { // the organization's limits and regions
		return record{}, err
	}
	return s.store.insert(org, sp, atomic)
}

// releaseLater queues the job of a new box, after the delay that stands for its boot.
func (s *Server) releaseLater(j *job) {
	delay := time.Duration(s.cfg.CreateDelayMillis) * time.Millisecond
	if spread := s.cfg.CreateDelayMostMillis - s.cfg.CreateDelayMillis; spread > 0 {
		delay += time.Duration(rand.IntN(spread+1)) * time.Millisecond
	}
	if delay <= 0 {
		s.store.release(j)
		return
	}
	s.tasks.Go(func() {
		t := time.NewTimer(delay)
		defer t.Stop()
		select {
		case <-t.C:
			s.store.release(j)
		case <-s.ctx.Done():
		}
	})
}

// await waits until the job that makes a box run is done and returns the box as it was then.
func (s *Server) await(ctx context.Context, j *job) (record, error) {
	ctx, cancel := s.patience(ctx)
	defer cancel()
	if err := s.over(ctx, j); err != nil {
		return record{}, err
	}
	if j.failure != "" {
		return record{}, errBoot
	}
	if j.lost {
		return record{}, errModified
	}
	return j.result, nil
}
