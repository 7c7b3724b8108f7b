package api

import (
	"time"

	"go.uber.org/zap"
)

// sweepLoop stops boxes that have been idle for their auto_stop and deletes those that have been
// stopped for their auto_delete, so that nothing outlives a caller that died. What a closed
// organization has left is deleted.
func (s *Server) sweepLoop() {
	tick := time.NewTicker(s.cfg.sweep)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			s.sweep(now)
			s.store.flush()
		case <-s.ctx.Done():
			return
		}
	}
}

func (s *Server) sweep(now time.Time) {
	for _, r := range s.store.list("") {
		var err error
		_, open := s.orgs.limit(r.org)
		switch {
		case r.pending:
			continue
		case !open:
			_, err = s.store.begin(r, destroying, destroyed, destroyBox)
		case r.state == started && r.spec.AutoStop > 0 && now.Sub(r.active) >= seconds(r.spec.AutoStop):
			_, err = s.store.begin(r, stopping, stopped, stopBox)
		case r.state == stopped && r.spec.AutoDelete > 0 && now.Sub(r.updated) >= seconds(r.spec.AutoDelete):
			_, err = s.store.begin(r, destroying, destroyed, destroyBox)
		default:
			continue
		}
		s.log.Info("idle box swept", zap.String("box", r.id), zap.String("was", string(r.state)), zap.Error(err))
	}
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
