package api

import (
	"cmp"
	"slices"
	"time"
)

// find returns the visible row of org with this id or, failing that, this name.
func (s *store) find(org, ref string) (record, bool) {
	s.enter()
	defer s.mu.Unlock()
	if r := s.rows[ref]; r != nil && r.org == org && r.visible() {
		return *r, true
	}
	if id, ok := s.names[[2]string{org, ref}]; ok {
		return *s.rows[id], true
	}
	return record{}, false
}

// findAny is find that also returns rows of deleted boxes, by id.
func (s *store) findAny(org, ref string) (record, bool) {
	if r, ok := s.find(org, ref); ok {
		return r, true
	}
	s.enter()
	defer s.mu.Unlock()
	if r := s.rows[ref]; r != nil && r.org == org {
		return *r, true
	}
	return record{}, false
}

// findAnywhere is find for ids of every organization.
func (s *store) findAnywhere(org, ref string) (record, bool) {
	if r, ok := s.find(org, ref); ok {
		return r, true
	}
	s.enter()
	defer s.mu.Unlock()
	if r := s.rows[ref]; r != nil && r.visible() {
		return *r, true
	}
	return record{}, false
}

// list returns the visible rows of org in the order of their creation; org "" is every organization.
func (s *store) list(org string) []record {
	s.enter()
	defer s.mu.Unlock()
	var out []record
	for _, r := range s.rows {
		if (org == "" || r.org == org) && r.visible() {
			out = append(out, *r)
		}
	}
	slices.SortFunc(out, func(a, b record) int { return cmp.Compare(a.seq, b.seq) })
	return out
}

// admissible reports, as of now, whether insert would take sp.
func (s *store) admissible(org string, sp spec, a admission) error {
	s.enter()
	defer s.mu.Unlock()
	if a.uniqueName {
		if err := s.nameFree(org, sp.Name); err != nil {
			return err
		}
	}
	if a.limit > 0 {
		return s.roomFor(org, a.limit)
	}
	return nil
}

// pendingJob returns the unfinished job of a box.
func (s *store) pendingJob(id string) *job {
	s.enter()
	defer s.mu.Unlock()
	if row := s.rows[id]; row != nil {
		return row.job
	}
	return nil
}

// runnerURL returns the address of the runner and whether it polled within the last age.
func (s *store) runnerURL(age time.Duration) (string, bool) {
	s.enter()
	defer s.mu.Unlock()
	return s.runner, s.runner != "" && time.Since(s.polled) < age
}

func (s *store) totalsOf(org string) totals {
	s.enter()
	defer s.mu.Unlock()
	if t := s.totals[org]; t != nil {
		return *t
	}
	return totals{}
}

// now is the current epoch.
func (s *store) now() uint64 {
	s.enter()
	defer s.mu.Unlock()
	return s.epoch
}
