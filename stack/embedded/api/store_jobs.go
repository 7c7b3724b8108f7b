package api

import (
	"slices"
	"time"
)

// release puts j into the queue.
func (s *store) release(j *job) {
	s.enter()
	defer s.mu.Unlock()
	s.enqueue(j)
}

func (s *store) enqueue(j *job) {
	s.ready = append(s.ready, j)
	s.stir()
}

// stir wakes the polls that wait.
func (s *store) stir() {
	close(s.wake)
	s.wake = make(chan struct{})
}

// take hands out up to n jobs to the runner at url, and a channel that is closed when asking again
// may give more. Jobs in the hands of another owner are lost and handed out again.
//
// That a job was handed out is not written: the API may end before the runner hears of it, so after a
// restart all unfinished jobs are handed out again, and the runner knows those that it has or has done.
func (s *store) take(url, owner string, n int) ([]*job, uint64, <-chan struct{}) {
	s.enter()
	defer s.end()
	if s.owner != owner {
		s.reclaim(owner)
	}
	s.unsaved.runner = s.unsaved.runner || s.runner != url
	s.runner, s.owner, s.polled = url, owner, time.Now()
	var taken []*job
	rest := s.ready[:0:0]
	for _, j := range s.ready {
		if len(taken) == n || s.busy[j.boxID] {
			rest = append(rest, j)
			continue
		}
		s.busy[j.boxID], j.taker = true, owner
		taken = append(taken, j)
	}
	s.ready = rest
	return taken, s.epoch, s.wake
}

func (s *store) reclaim(owner string) {
	var back []*job
	for _, j := range s.jobs {
		if j.taker != "" && j.taker != owner {
			back = append(back, j)
		}
	}
	s.giveBack(back)
}

// untake returns jobs whose runner did not get to hear of them.
func (s *store) untake(jobs []*job) {
	s.enter()
	defer s.mu.Unlock()
	s.giveBack(jobs)
}

func (s *store) giveBack(jobs []*job) {
	for _, j := range jobs {
		if s.jobs[j.id] == nil {
			continue // completed after all
		}
		j.taker = ""
		delete(s.busy, j.boxID)
	}
	s.ready = append(slices.Clone(jobs), s.ready...)
	s.stir()
}

// complete writes what a job brought about and reports the job; ok is false when there is no such
// unfinished job. A job whose row has been taken away from it writes nothing.
func (s *store) complete(id, failure, coreID string) (j *job, ok bool) {
	s.enter()
	defer s.end()
	j = s.jobs[id]
	if j == nil {
		return nil, false
	}
	s.drop(j)
	s.ready = slices.DeleteFunc(s.ready, func(x *job) bool { return x == j })
	delete(s.busy, j.boxID)
	j.failure = failure
	row := s.rows[j.boxID]
	if row == nil || row.job != j {
		j.lost = true
	} else {
		row.job, row.pending = nil, false
		s.settle(row, j, coreID)
		s.touch(row)
	}
	if row != nil {
		j.result = *row
	}
	s.over = append(s.over, j)
	s.stir()
	return j, true
}

// drop forgets a job that is finished or not wanted any more.
func (s *store) drop(j *job) {
	delete(s.jobs, j.id)
	s.unsaved.jobs[j.id] = true
}

// settle is the state a row is in after j.
func (s *store) settle(row *record, j *job, coreID string) {
	ok := j.failure == ""
	switch {
	case j.kind == createBox && ok:
		row.state, row.coreID = started, coreID
		if s.lazy {
			row.state = configured
		}
	case j.kind == createBox: // a refused create leaves no row
		row.desired = destroyed
		s.count(row.org).Failed++
		s.freeName(row)
		s.bury(row)
	case j.kind == startBox && ok:
		row.state = started
	case j.kind == startBox:
		row.state = failed
	case j.kind == stopBox && ok:
		row.state = stopped
		s.count(row.org).Stopped++
	case j.kind == stopBox: // it still runs, and the caller may try again
		row.state, row.desired = started, started
	case j.kind == destroyBox && ok:
		s.bury(row)
	case j.kind == destroyBox: // never give up a box that was deleted: its job comes back
		row.pending = true
	}
}

func (s *store) bury(row *record) {
	row.state = destroyed
	s.gone = append(s.gone, row.id)
	for len(s.gone) > s.keep {
		if old := s.rows[s.gone[0]]; old != nil && old.state == destroyed {
			delete(s.rows, old.id)
			s.unsaved.rows[old.id] = true
		}
		s.gone = s.gone[1:]
	}
}

// again queues a destroy that failed once more.
func (s *store) again(r record) {
	s.enter()
	defer s.end()
	row := s.rows[r.id]
	if row == nil || row.state != destroying || row.job != nil {
		return
	}
	s.attach(row, destroying, destroyBox)
	s.enqueue(row.job)
}
