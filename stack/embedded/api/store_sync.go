package api

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
	s.enter()
	defer s.end()
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

// beginAgain stops a box that the report begun at epoch says runs, and whose row has been stopped since
// before.
func (s *store) beginAgain(epoch uint64, id string) (record, error) {
	s.enter()
	row := s.rows[id]
	ok := row != nil && row.state == stopped && row.version <= epoch
	var seen record
	if ok {
		seen = *row
	}
	s.mu.Unlock()
	if !ok {
		return record{}, errModified
	}
	return s.begin(seen, stopping, stopped, stopBox)
}
