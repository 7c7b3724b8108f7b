package api

import "time"

// This file holds the write-behind of the seeded bug restart-forgets-stop: a stop changes the record in
// memory, and its row and job reach the database, which is where the runner's jobs come from, with the next
// batch.

// behindTick is the time between two batches.
const behindTick = 300 * time.Millisecond

func (s *Server) writeBehind() {
	tick := time.NewTicker(behindTick)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.store.catchUp()
		case <-s.ctx.Done():
			return
		}
	}
}

// catchUp writes the stops that are behind and puts their jobs into the queue.
func (s *store) catchUp() {
	s.enter()
	defer s.end()
	for box, j := range s.behind {
		delete(s.behind, box)
		s.unsaved.rows[box], s.unsaved.jobs[j.id] = true, true
		if s.jobs[j.id] == j {
			s.enqueue(j)
		}
	}
}
