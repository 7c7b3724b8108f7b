package api

import (
	"errors"
	"net/http"

	"go.uber.org/zap"

	"chaos/stack/embedded/bugs"
)

// State rules, in the words of BoxLite's API.
var (
	errChanging    = stateRule("State change in progress")
	errBoxChanging = stateRule("Box state change in progress")
	errNotStarted  = stateRule("Box is not started")
	errErrored     = stateRule("Box is in an errored state")
)

// start answers when the box runs. A start or create in flight is joined, not repeated.
func (s *Server) start(w http.ResponseWriter, r *http.Request, org, ref string) error {
	if s.cfg.serve {
		return s.startServe(w, r, org, ref)
	}
	row, err := s.ensureStarted(r, org, ref)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, row.json())
	return nil
}

func (s *Server) ensureStarted(r *http.Request, org, ref string) (record, error) {
	for range 3 {
		row, ok := s.store.find(org, ref)
		if !ok {
			return record{}, boxNotFound(ref)
		}
		switch {
		case row.pending && (row.state == creating || row.state == starting):
			return s.await(r.Context(), row.job)
		case row.pending:
			return record{}, errChanging
		case row.state == started:
			return row, nil
		case row.state == failed:
			return record{}, errErrored
		}
		begun, err := s.store.begin(row, starting, started, startBox)
		if errors.Is(err, errModified) {
			continue // somebody else was first: see what they did
		}
		if err != nil {
			return record{}, err
		}
		s.log.Info("box starting", zap.String("box", row.id))
		return s.await(r.Context(), begun.job)
	}
	return record{}, errModified
}

// stopBox answers as soon as the stop is accepted.
func (s *Server) stopBox(w http.ResponseWriter, r *http.Request, org, ref string) error {
	if s.cfg.serve {
		return s.stopServe(w, r, org, ref)
	}
	row, ok := s.store.find(org, ref)
	switch {
	case !ok:
		return boxNotFound(ref)
	case row.pending && row.state == stopping && s.cfg.bugs.Has(bugs.DoubleStop500):
		return errors.New("box " + row.id + " has a pending stop")
	case row.pending:
		return errChanging
	case row.state == failed:
		return errErrored
	case row.state != started:
		return errNotStarted
	}
	row, err := s.store.begin(row, stopping, stopped, stopBox)
	if err != nil {
		return err
	}
	s.log.Info("box stopping", zap.String("box", row.id))
	writeJSON(w, http.StatusCreated, row.json())
	return nil
}

// delete answers as soon as the box is gone for its owner; the runner destroys it afterwards.
func (s *Server) delete(w http.ResponseWriter, r *http.Request, org, ref string) error {
	if s.cfg.serve {
		return s.deleteServe(w, r, org, ref)
	}
	row, ok := s.store.find(org, ref)
	switch {
	case !ok:
		return boxNotFound(ref)
	case row.pending:
		return errBoxChanging
	}
	if _, err := s.store.begin(row, destroying, destroyed, destroyBox); err != nil {
		return err
	}
	s.log.Info("box destroying", zap.String("box", row.id))
	w.WriteHeader(http.StatusNoContent)
	return nil
}
