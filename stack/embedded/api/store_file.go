package api

import (
	"cmp"
	"maps"
	"runtime"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// This file keeps the store in a file. The maps of the store are what it works with; the file follows them,
// transaction by transaction, and is read once, at the start.

// keptRow is a record in the file.
type keptRow struct {
	Seq     uint64    `json:"seq"`
	Org     string    `json:"org"`
	Name    string    `json:"name"`
	Named   bool      `json:"named"` // the name leads to this row
	Spec    spec      `json:"spec"`
	State   state     `json:"state"`
	Desired state     `json:"desired"`
	Pending bool      `json:"pending"`
	Job     string    `json:"job"` // id of its job; "" = none
	Version uint64    `json:"version"`
	CoreID  string    `json:"core_id"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
	Active  time.Time `json:"active"`
}

// keptJob is an unfinished job in the file.
type keptJob struct {
	Seq  uint64 `json:"seq"`
	Kind string `json:"kind"`
	Box  string `json:"box"`
	Spec spec   `json:"spec"`
}

// keptState is what there is once.
type keptState struct {
	Seq    uint64 `json:"seq"`
	Epoch  uint64 `json:"epoch"`
	Runner string `json:"runner"`
}

// unsaved is what has changed since the file was written.
type unsaved struct {
	rows, jobs, totals map[string]bool // keys
	runner             bool
}

func newUnsaved() unsaved {
	return unsaved{rows: map[string]bool{}, jobs: map[string]bool{}, totals: map[string]bool{}}
}

func (u *unsaved) any() bool { return u.runner || len(u.rows)+len(u.jobs)+len(u.totals) > 0 }

func (u *unsaved) clear() {
	clear(u.rows)
	clear(u.jobs)
	clear(u.totals)
	u.runner = false
}

// enter opens a transaction. When one before it could not be written there are no more: the process is about
// to end.
func (s *store) enter() {
	s.mu.Lock()
	if s.broken {
		s.mu.Unlock()
		runtime.Goexit()
	}
}

// end closes a transaction: what it changed is written before anybody can hear of it.
func (s *store) end() {
	defer s.mu.Unlock()
	if s.file != nil && s.unsaved.any() {
		s.broken = true
		s.file.write(s.save)
		s.broken = false
	}
	s.unsaved.clear()
	for _, j := range s.over {
		close(j.done)
	}
	s.over = s.over[:0]
}

// flush writes what no transaction has written yet.
func (s *store) flush() {
	s.enter()
	defer s.end()
}

// save writes what has changed. A stop that is written later is as if it had not been, the row included.
func (s *store) save(tx *bbolt.Tx) error {
	for id := range s.unsaved.rows {
		if s.behind[id] != nil {
			continue
		}
		if err := s.saveRow(tx, id); err != nil {
			return err
		}
	}
	for id := range s.unsaved.jobs {
		if err := s.saveJob(tx, id); err != nil {
			return err
		}
	}
	for org := range s.unsaved.totals {
		if err := s.saveTotals(tx, org); err != nil {
			return err
		}
	}
	return put(tx, tableState, string(stateKey), keptState{s.seq, s.epoch, s.runner})
}

func (s *store) saveRow(tx *bbolt.Tx, id string) error {
	r := s.rows[id]
	if r == nil {
		return remove(tx, tableRows, id)
	}
	k := keptRow{
		Seq: r.seq, Org: r.org, Name: r.name, Named: s.names[[2]string{r.org, r.name}] == id, Spec: r.spec,
		State: r.state, Desired: r.desired, Pending: r.pending, Version: r.version, CoreID: r.coreID,
		Created: r.created, Updated: r.updated, Active: r.active,
	}
	if r.job != nil {
		k.Job = r.job.id
	}
	return put(tx, tableRows, id, k)
}

func (s *store) saveJob(tx *bbolt.Tx, id string) error {
	j := s.jobs[id]
	switch {
	case j == nil:
		return remove(tx, tableJobs, id)
	case s.behind[j.boxID] == j:
		return nil
	}
	return put(tx, tableJobs, id, keptJob{j.seq, j.kind, j.boxID, j.spec})
}

func (s *store) saveTotals(tx *bbolt.Tx, org string) error {
	if t := s.totals[org]; t != nil {
		return put(tx, tableTotals, org, t)
	}
	return remove(tx, tableTotals, org)
}

// load fills an empty store, which nobody uses yet, from its file. Every unfinished job is in the queue again, whether it was handed
// out or not, and a destroy that waited for its next try gets it.
func (s *store) load() error {
	jobOf := map[string]string{} // by box
	err := each(s.file, tableRows, func(id string, k keptRow) {
		s.rows[id] = &record{
			seq: k.Seq, id: id, org: k.Org, name: k.Name, spec: k.Spec, state: k.State, desired: k.Desired, pending: k.Pending,
			version: k.Version, coreID: k.CoreID, created: k.Created, updated: k.Updated, active: k.Active,
		}
		jobOf[id] = k.Job
		if k.Named {
			s.names[[2]string{k.Org, k.Name}] = id
		}
	})
	if err != nil {
		return err
	}
	err = each(s.file, tableJobs, func(id string, k keptJob) {
		s.jobs[id] = &job{seq: k.Seq, id: id, kind: k.Kind, boxID: k.Box, spec: k.Spec, done: make(chan struct{})}
	})
	if err != nil {
		return err
	}
	if err := each(s.file, tableTotals, func(org string, t totals) { s.totals[org] = &t }); err != nil {
		return err
	}
	err = each(s.file, tableState, func(_ string, k keptState) {
		s.seq, s.epoch, s.runner = k.Seq, max(k.Epoch, s.epoch), k.Runner
	})
	if err != nil {
		return err
	}
	if s.runner != "" {
		s.polled = time.Now() // it was there, and is told to be gone when it keeps silent
	}
	s.resume(jobOf)
	defer s.unsaved.clear()
	return s.file.bolt.Update(s.save)
}

// resume takes up what the process before has left half done.
func (s *store) resume(jobOf map[string]string) {
	s.ready = slices.SortedFunc(maps.Values(s.jobs), func(a, b *job) int { return cmp.Compare(a.seq, b.seq) })
	rows := slices.SortedFunc(maps.Values(s.rows), func(a, b *record) int { return cmp.Compare(a.version, b.version) })
	for _, r := range rows {
		r.job = s.jobs[jobOf[r.id]]
		switch {
		case r.state == destroyed:
			s.gone = append(s.gone, r.id)
		case r.state == destroying && r.job == nil:
			s.attach(r, destroying, destroyBox)
			s.enqueue(r.job)
		}
	}
}
