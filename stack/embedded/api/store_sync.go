package api

// beginAgain stops a box that the report begun at epoch says runs, and whose row has been stopped since
// before.
func (s *store) beginAgain(epoch uint64, id string) (record, error) {
	s.mu.Lock()
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
