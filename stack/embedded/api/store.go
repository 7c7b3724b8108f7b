package api

import (
	"fmt"
	"sync"
	"time"
)

// keepDestroyed is how many rows of destroyed boxes are remembered.
const keepDestroyed = 10_000

// store is the database of the API: rows, names, and the queue of jobs that belong to them. One
// mutex makes each method a transaction, which is written to the file before the method returns; see
// store_file.go. Every write of the API is in this file, store_jobs.go or store_sync.go.
type store struct {
	lazy  bool // new boxes are not started
	keep  int  // rows of destroyed boxes that are remembered
	mu    sync.Mutex
	epoch uint64
	seq   uint64             // of the last row or job
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

	file    *database // nil = nothing outlives the process
	unsaved unsaved
	broken  bool            // the file does not have what is here
	over    []*job          // completed in this transaction
	behind  map[string]*job // seeded bug restart-forgets-stop: stops that are not written yet, by box; nil = off
}

// totals counts what happened to the boxes of an organization since the stack is there.
type totals struct{ Created, Failed, Stopped, Execs, ExecErrors int }

func newStore(lazy bool) *store {
	return &store{
		lazy:  lazy,
		keep:  keepDestroyed,
		epoch: uint64(time.Now().UnixMicro()), // greater than any a runner has heard of from an API before us
		rows:  map[string]*record{}, names: map[[2]string]string{},
		jobs: map[string]*job{}, busy: map[string]bool{}, wake: make(chan struct{}),
		totals: map[string]*totals{}, unsaved: newUnsaved(),
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
	s.enter()
	defer s.end()
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
	s.count(org).Created++
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
	s.enter()
	defer s.end()
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
	if s.behind != nil && kind == stopBox {
		s.behind[row.id] = row.job
		return *row, nil
	}
	s.enqueue(row.job)
	return *row, nil
}

// attach makes a new job the pending one of row.
func (s *store) attach(row *record, to state, kind string) {
	row.state, row.pending = to, true
	s.seq++
	row.job = &job{seq: s.seq, id: newID(20), kind: kind, boxID: row.id, spec: row.spec, done: make(chan struct{})}
	s.jobs[row.job.id] = row.job
	s.unsaved.jobs[row.job.id] = true
	s.touch(row)
}

// touch gives row a new version.
func (s *store) touch(row *record) {
	s.epoch++
	row.version, row.updated = s.epoch, time.Now().UTC()
	s.unsaved.rows[row.id] = true
}

// freeName renames row, so that its name can be used again at once.
func (s *store) freeName(row *record) {
	key := [2]string{row.org, row.name}
	if s.names[key] == row.id {
		delete(s.names, key)
	}
	row.name = fmt.Sprintf("DESTROYED_%s_%s", row.name, row.id)
}

// markFailed is used for a row whose create is refused after the fact.
func (s *store) markFailed(r record) {
	s.enter()
	defer s.end()
	row := s.rows[r.id]
	if row == nil || row.job == nil {
		return
	}
	s.drop(row.job)
	row.job, row.pending, row.state = nil, false, failed
	s.touch(row)
}

// active notes that the owner works with a box. It is not worth a transaction: it is written with the next
// one, or when the sweep comes round.
func (s *store) active(id string) {
	s.enter()
	defer s.mu.Unlock()
	if row := s.rows[id]; row != nil {
		row.active = time.Now().UTC()
		s.unsaved.rows[id] = true
	}
}

// countExec counts an exec that the runner has answered.
func (s *store) countExec(org string, started bool) {
	s.enter()
	defer s.end()
	if started {
		s.count(org).Execs++
	} else {
		s.count(org).ExecErrors++
	}
}

// forgetTotals drops the counts of an organization that is closed.
func (s *store) forgetTotals(org string) {
	s.enter()
	defer s.end()
	delete(s.totals, org)
	s.unsaved.totals[org] = true
}

// count returns the totals of org, to be changed.
func (s *store) count(org string) *totals {
	s.unsaved.totals[org] = true
	if s.totals[org] == nil {
		s.totals[org] = &totals{}
	}
	return s.totals[org]
}
