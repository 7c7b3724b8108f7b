package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"sync"

	"go.etcd.io/bbolt"
)

// organizations are the tenants of the API: who holds which key, and how many boxes each may have.
// Those of the configuration stay; others are opened and closed by the administrator, and kept.
type organizations struct {
	file   *database // has those that were opened; nil = nothing outlives the process
	mu     sync.RWMutex
	keys   map[[sha256.Size]byte]string // organization by the hash of a key, so that looking one up tells nothing about the others
	limits map[string]int
}

func newOrganizations() *organizations {
	return &organizations{keys: map[[sha256.Size]byte]string{}, limits: map[string]int{}}
}

// keptOrganization is an organization in the file. The key itself is nowhere.
type keptOrganization struct {
	KeyHash []byte `json:"key_hash"` // SHA-256
	Limit   int    `json:"limit"`
}

// load adds the organizations that an earlier process has opened.
func (o *organizations) load() error {
	return each(o.file, tableOrganizations, func(org string, k keptOrganization) {
		if len(k.KeyHash) == sha256.Size {
			o.add(org, [sha256.Size]byte(k.KeyHash), k.Limit)
		}
	})
}

// add lets the holder of the key with this hash act for org, which may have limit boxes.
func (o *organizations) add(org string, keyHash [sha256.Size]byte, limit int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.keys[keyHash] = org
	o.limits[org] = limit
}

// open adds an organization that outlives the process.
func (o *organizations) open(org, key string, limit int) {
	sum := sha256.Sum256([]byte(key))
	if o.file != nil {
		o.file.write(func(tx *bbolt.Tx) error { return put(tx, tableOrganizations, org, keptOrganization{sum[:], limit}) })
	}
	o.add(org, sum, limit)
}

// close forgets org and its keys, and reports whether there was such an organization.
func (o *organizations) close(org string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, known := o.limits[org]
	if known && o.file != nil {
		o.file.write(func(tx *bbolt.Tx) error { return remove(tx, tableOrganizations, org) })
	}
	delete(o.limits, org)
	for sum, of := range o.keys {
		if of == org {
			delete(o.keys, sum)
		}
	}
	return known
}

// of returns the organization that key belongs to.
func (o *organizations) of(key string) (string, bool) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	org, ok := o.keys[sha256.Sum256([]byte(key))]
	return org, ok
}

// limit returns how many boxes org may have at once; open is false when it is closed.
func (o *organizations) limit(org string) (n int, open bool) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	n, open = o.limits[org]
	return n, open
}

// routeOrganizations is the part of the API for its administrator:
//
//	POST   /v1/organizations       {"box_limit":4}   201 {"id","key","box_limit"}
//	DELETE /v1/organizations/{id}                    204; boxes that are left are deleted by the sweep
func (s *Server) routeOrganizations(w http.ResponseWriter, r *http.Request, seg []string) error {
	if s.cfg.AdminToken == "" || subtle.ConstantTimeCompare([]byte(bearer(r)), []byte(s.cfg.AdminToken)) != 1 {
		return errUnauthed
	}
	switch {
	case len(seg) == 0 && r.Method == http.MethodPost:
		return s.openOrganization(w, r)
	case len(seg) == 1 && r.Method == http.MethodDelete:
		if !s.orgs.close(seg[0]) {
			return &apiError{status: http.StatusNotFound, code: codeNotFound, message: "Organization " + seg[0] + " not found"}
		}
		s.store.forgetTotals(seg[0])
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return noRoute(r)
}

func (s *Server) openOrganization(w http.ResponseWriter, r *http.Request) error {
	var q struct {
		BoxLimit int `json:"box_limit"`
	}
	if err := readJSON(r, &q); err != nil {
		return err
	}
	if q.BoxLimit < 1 {
		return invalid("box_limit must be at least 1")
	}
	id, key := "org"+newID(12), "blk_live_"+newID(32)
	s.orgs.open(id, key, q.BoxLimit)
	writeJSON(w, http.StatusCreated, map[string]any{"id": id, "key": key, "box_limit": q.BoxLimit})
	return nil
}
