package api

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// keepDestroyed bounds how many rows of destroyed boxes are remembered.
const keepDestroyed = 10_000

// store is the database of the API: rows, names, and the queue of jobs that belong to them. One
// mutex makes each method a transaction. Every write of the API is in this file or store_sync.go.
type store struct {
	lazy  bool // new boxes are not started
	mu    sync.Mutex
	epoch uint64
	seq   uint64
	rows  map[string]*record // by id
	names map[[2]string]string
	gone  []string // ids of destroyed rows, oldest first

	jobs   map[string]*job // unfinished, by id
	ready  []*job          // not handed out, in order
	busy   map[string]bool // boxes with a job handed out
	wake   chan struct{}   // closed when ready or busy changes
	runner string          // address of the runner that polled last
	owner  string          // what tells it from others, also from one that was at this address before
	polled time.Time       // when it did

	totals map[string]*totals // by organization
}

// totals counts what happened to the boxes of an organization since the start.
type totals struct{ created, failed, stopped, execs, execErrors int }

func newStore(lazy bool) *store {
	return &store{
		lazy:  lazy,
		epoch: uint64(time.Now().UnixMicro()), // greater than any a runner has heard of from an API before us
		rows:  map[string]*record{}, names: map[[2]string]string{},
		jobs: map[string]*job{}, busy: map[string]bool{}, wake: make(chan struct{}),
		totals: map[string]*totals{},
	}
}

// admission is what insert must hold the new row against.
type admission struct {
	uniqueName bool
	limit      int // 0 = none
}

// insert adds a row in state creating, together with its job, which is not in the queue yet.
// It fails without a trace when the name is taken or the organization is full.
func (s *store) insert(org string, sp spec, a admission) (record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.uniqueName && sp.Name != "" {
		if err := s.nameFree(org, sp.Name); err != nil {
			return record{}, err
		}
	}
	if a.limit > 0 {
		if err := s.roomFor(org, a.limit); err != nil {
			return record{}, err
		}
	}
	id := newID(12)
	for s.rows[id] != nil {
		id = newID(12)
	}
	if sp.Name == "" {
		sp.Name = id
	}
	s.seq++
	now := time.Now().UTC()
	r := &record{seq: s.seq, id: id, org: org, name: sp.Name, spec: sp, desired: started, created: now, active: now}
	s.rows[id] = r
	s.names[[2]string{org, sp.Name}] = id
	s.attach(r, creating, createBox)
	s.count(org).created++
	return *r, nil
}

// nameFree and roomFor are the two halves of admission; the caller holds the mutex.
func (s *store) nameFree(org, name string) error {
	if _, taken := s.names[[2]string{org, name}]; taken {
		return &apiError{status: 409, code: codeAlreadyExists, message: fmt.Sprintf("Box with name %s already exists", name)}
	}
	return nil
}

func (s *store) roomFor(org string, limit int) error {
	n := 0
	for _, r := range s.rows {
		if r.org == org && r.visible() {
			n++
		}
	}
	if n >= limit {
		return &apiError{status: 429, code: codeExhausted, message: fmt.Sprintf("Organization box creation limit reached: %d of %d boxes in use", n, limit)}
	}
	return nil
}

// begin moves the row that was read as r to another state and queues the job that gets it there.
// It fails with errModified when pending, state or desired state are not what they were.
func (s *store) begin(r record, to, desired state, kind string) (record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row := s.rows[r.id]
	if row == nil || row.pending != r.pending || row.state != r.state || row.desired != r.desired {
		return record{}, errModified
	}
	row.desired = desired
	if to == starting {
		row.active = time.Now().UTC()
	}
	s.attach(row, to, kind)
	if desired == destroyed {
		s.freeName(row)
	}
	s.enqueue(row.job)
	return *row, nil
}

// attach makes a new job the pending one of row.
func (s *store) attach(row *record, to state, kind string) {
	row.state, row.pending = to, true
	row.job = &job{id: newID(20), kind: kind, boxID: row.id, spec: row.spec, done: make(chan struct{})}
	s.jobs[row.job.id] = row.job
	s.touch(row)
}

// touch gives row a new version.
func (s *store) touch(row *record) {
	s.epoch++
	row.version, row.updated = s.epoch, time.Now().UTC()
}

// freeName renames row, so that its name can be used again at once.
func (s *store) freeName(row *record) {
	key := [2]string{row.org, row.name}
	if s.names[key] == row.id {
		delete(s.names, key)
	}
	row.name = fmt.Sprintf("DESTROYED_%s_%s", row.name, row.id)
}

// release puts j into the queue.
func (s *store) release(j *job) {
	s.mu.Lock()
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
func (s *store) take(url, owner string, n int) ([]*job, uint64, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.owner != owner {
		s.reclaim(owner)
	}
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
	s.mu.Lock()
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
	s.mu.Lock()
	defer s.mu.Unlock()
	j = s.jobs[id]
	if j == nil {
		return nil, false
	}
	delete(s.jobs, id)
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
	close(j.done)
	s.stir()
	return j, true
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
		s.count(row.org).failed++
		s.freeName(row)
		s.bury(row)
	case j.kind == startBox && ok:
		row.state = started
	case j.kind == startBox:
		row.state = failed
	case j.kind == stopBox && ok:
		row.state = stopped
		s.count(row.org).stopped++
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
	for len(s.gone) > keepDestroyed {
		if old := s.rows[s.gone[0]]; old != nil && old.state == destroyed {
			delete(s.rows, old.id)
		}
		s.gone = s.gone[1:]
	}
}

// again queues a destroy that failed once more.
func (s *store) again(r record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row := s.rows[r.id]
	if row == nil || row.state != destroying || row.job != nil {
		return
	}
	s.attach(row, destroying, destroyBox)
	s.enqueue(row.job)
}

// markFailed is used for a row whose create is refused after the fact.
func (s *store) markFailed(r record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row := s.rows[r.id]
	if row == nil || row.job == nil {
		return
	}
	delete(s.jobs, row.job.id)
	row.job, row.pending, row.state = nil, false, failed
	s.touch(row)
}

// active notes that the owner works with a box.
func (s *store) active(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if row := s.rows[id]; row != nil {
		row.active = time.Now().UTC()
	}
}

// claim is one line of a sync report: the box was in this state when the runner looked.
type claim struct {
	ID    string `json:"id"`
	State string `json:"state"`
}

// trust says which claims of a report may be applied besides those that are safe.
type trust struct {
	changed bool // also to rows that changed after the report was begun, or are changing
	wanted  bool // not to rows that the report says run although they are to be stopped
	removed bool // also to rows that are to be destroyed
}

// correct applies a claim of a report that was begun at epoch to the row it speaks of and reports
// whether that changed it.
func (s *store) correct(epoch uint64, c claim, t trust) (after record, changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row := s.rows[c.ID]
	to, known := map[string]state{"running": started, "stopped": stopped}[c.State]
	if row == nil || !known || row.state == to || row.state == failed || row.state == creating {
		return record{}, false
	}
	if row.state == configured && to == stopped {
		return record{}, false // the runner does not tell them apart
	}
	if t.wanted && to == started && row.desired == stopped {
		return record{}, false
	}
	if row.desired == destroyed {
		if !t.removed {
			return record{}, false
		}
	} else if !t.changed && (row.pending || row.version > epoch) {
		return record{}, false
	}
	row.state, row.desired, row.pending, row.job = to, to, false, nil
	s.touch(row)
	return *row, true
}

// countExec counts an exec that the runner has answered.
func (s *store) countExec(org string, started bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if started {
		s.count(org).execs++
	} else {
		s.count(org).execErrors++
	}
}

// forgetTotals drops the counts of an organization that is closed.
func (s *store) forgetTotals(org string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.totals, org)
}

func (s *store) count(org string) *totals {
	if s.totals[org] == nil {
		s.totals[org] = &totals{}
	}
	return s.totals[org]
}
