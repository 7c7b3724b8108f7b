package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"chaos/stack/embedded/bugs"
)

// Version is the value of the X-BoxLite-Api-Version header of every answer.
const Version = "0.1.0"

// reserved words cannot be organization ids: they are what a path without a prefix begins with.
var reserved = map[string]bool{"boxes": true, "config": true, "me": true, "metrics": true, "organizations": true}

// Server answers the REST contract. It is an http.Handler; Close ends its background work.
type Server struct {
	cfg   settled
	log   *zap.Logger
	store *store
	proxy *httputil.ReverseProxy
	orgs  *organizations

	ctx   context.Context // ends with Close
	stop  context.CancelFunc
	tasks sync.WaitGroup

	execs struct{ sent atomic.Int64 } // exec requests to the runner in flight
	local localExecs
}

// New returns a server with cfg that logs to log. It fails on an incomplete configuration and on
// unknown names of seeded bugs.
func New(cfg Config, log *zap.Logger) (*Server, error) {
	set, err := cfg.settle()
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: set, log: log, store: newStore(set.serve), orgs: newOrganizations()}
	if err := s.openData(); err != nil {
		return nil, err
	}
	for _, k := range cfg.Keys {
		s.orgs.add(k.Org, sha256.Sum256([]byte(k.Key)), set.BoxLimit)
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.proxy = s.newProxy()
	s.tasks.Go(s.sweepLoop)
	if s.store.behind != nil {
		s.tasks.Go(s.writeBehind)
	}
	return s, nil
}

// openData reads what the API before this one has left in the data directory, if there is to be one.
func (s *Server) openData() error {
	if s.cfg.bugs.Has(bugs.RestartForgetsStop) {
		s.store.behind = map[string]*job{}
	}
	if s.cfg.DataDir == "" {
		return nil
	}
	db, err := openDatabase(s.cfg.DataDir)
	if err != nil {
		return err
	}
	s.store.file, s.orgs.file = db, db
	if err := errors.Join(s.store.load(), s.orgs.load()); err != nil {
		return errors.Join(err, db.bolt.Close())
	}
	s.log.Info("records read", zap.Int("rows", len(s.store.rows)), zap.Int("jobs", len(s.store.jobs)))
	return nil
}

func (s *Server) closeData() {
	if s.store.file == nil {
		return
	}
	var last sync.WaitGroup
	last.Go(func() { // by itself, because it ends when nothing can be written
		s.store.catchUp()
		s.store.flush()
	})
	last.Wait()
	if err := s.store.file.bolt.Close(); err != nil {
		s.log.Error("database not closed", zap.Error(err))
	}
}

// broken gives the reason when the records cannot be written any more: the process is to end. It is nil when
// there are none to write.
func (s *Server) broken() <-chan error {
	if s.store.file == nil {
		return nil
	}
	return s.store.file.failed
}

// Close ends the background work and every request that waits for a box. No request may come any more.
func (s *Server) Close() {
	s.stop()
	s.local.killAll()
	s.tasks.Wait()
	s.closeData()
	if t, ok := s.proxy.Transport.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.cfg.serve {
		nameRequest(w, r)
	} else {
		w.Header().Set("X-BoxLite-Api-Version", Version)
	}
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if v == http.ErrAbortHandler { //nolint:errorlint // net/http compares it the same way
			panic(v)
		}
		s.log.Error("handler panicked", zap.Any("panic", v), zap.ByteString("stack", debug.Stack()))
		s.fail(w, r, fmt.Errorf("handler panicked: %v", v))
	}()
	if err := s.route(w, r); err != nil {
		if s.ending(err) {
			panic(http.ErrAbortHandler)
		}
		if isUpgrade(r) && !s.cfg.serve {
			s.refuseUpgrade(w, err)
			return
		}
		s.fail(w, r, err)
	}
}

// ending reports whether err is there only because the API ends. What was asked for may happen yet, after a
// restart, so the caller gets no answer rather than a refusal.
func (s *Server) ending(err error) bool {
	var answer *apiError
	return s.ctx.Err() != nil && !errors.As(err, &answer)
}

// route finds the handler. It is written out because a prefix may stand before every box route, and
// because net/http's own answers for a wrong path or method are not in the shape of the contract.
func (s *Server) route(w http.ResponseWriter, r *http.Request) error {
	base := "/api/"
	if s.cfg.serve && strings.HasPrefix(r.URL.EscapedPath(), "/v1/") {
		base = "/"
	}
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), base)
	if !ok {
		return noRoute(r)
	}
	seg, err := split(path)
	if err != nil {
		return noRoute(r)
	}
	switch {
	case len(seg) == 1 && seg[0] == "health" && r.Method == http.MethodGet:
		return s.health(w, r)
	case seg[0] == "runner":
		return s.routeRunner(w, r, seg[1:])
	case seg[0] == "v1" && len(seg) > 1 && base == s.cfg.base+"/":
		return s.routeV1(w, r, seg[1:])
	}
	return noRoute(r)
}

func (s *Server) routeV1(w http.ResponseWriter, r *http.Request, seg []string) error {
	if len(seg) == 1 && seg[0] == "config" && r.Method == http.MethodGet {
		return s.config(w)
	}
	if seg[0] == "organizations" {
		return s.routeOrganizations(w, r, seg[1:])
	}
	org, err := s.caller(r)
	if err != nil {
		return s.unguarded(seg, err)
	}
	if !reserved[seg[0]] {
		if s.cfg.serve {
			return noRoute(r)
		}
		if seg[0] != org {
			return errPrefix
		}
		seg = seg[1:]
	}
	switch {
	case len(seg) == 1 && seg[0] == "me" && r.Method == http.MethodGet:
		return s.me(w, org)
	case len(seg) == 1 && seg[0] == "metrics" && r.Method == http.MethodGet:
		return s.metrics(w, org)
	case len(seg) > 0 && seg[0] == "boxes":
		return s.routeBoxes(w, r, org, seg[1:])
	}
	return noRoute(r)
}

func (s *Server) routeBoxes(w http.ResponseWriter, r *http.Request, org string, seg []string) error {
	if len(seg) == 0 {
		switch r.Method {
		case http.MethodPost:
			return s.create(w, r, org)
		case http.MethodGet:
			return s.list(w, r, org)
		}
		return noRoute(r)
	}
	ref, rest := seg[0], seg[1:]
	if len(rest) == 0 {
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			return s.get(w, r, org, ref)
		case http.MethodDelete:
			return s.delete(w, r, org, ref)
		}
		return noRoute(r)
	}
	switch route := r.Method + " " + shape(rest); route {
	case "POST start":
		return s.start(w, r, org, ref)
	case "POST stop":
		return s.stopBox(w, r, org, ref)
	case "POST exec":
		return s.exec(w, r, org, ref)
	case "GET metrics", "GET executions/*", "DELETE executions/*", "POST executions/*/signal", "POST executions/*/resize":
		return s.forward(w, r, org, ref, rest)
	case "GET executions/*/attach":
		if !isUpgrade(r) {
			return noRoute(r)
		}
		return s.forward(w, r, org, ref, rest)
	}
	return noRoute(r)
}

// shape is a path below a box with the execution id replaced by *.
func shape(seg []string) string {
	if len(seg) > 1 && seg[0] == "executions" {
		seg = append([]string{"executions", "*"}, seg[2:]...)
	}
	return strings.Join(seg, "/")
}

// split cuts an escaped path into unescaped segments; one slash at the end does not count.
func split(path string) ([]string, error) {
	parts := strings.Split(strings.TrimSuffix(path, "/"), "/")
	for i, p := range parts {
		u, err := url.PathUnescape(p)
		if err != nil {
			return nil, fmt.Errorf("unescape path: %w", err)
		}
		if u == "" {
			return nil, errors.New("empty path segment")
		}
		parts[i] = u
	}
	return parts, nil
}

// caller returns the organization that the request's key belongs to.
func (s *Server) caller(r *http.Request) (string, error) {
	if org, ok := s.orgs.of(bearer(r)); ok {
		return org, nil
	}
	return "", errUnauthed
}

// unguarded is what a caller without a valid key gets.
func (s *Server) unguarded(seg []string, err error) error {
	if s.cfg.bugs.Has(bugs.Unguarded500) && len(seg) > 2 && seg[0] == "boxes" {
		// The guard is not on these routes, so their handlers run, and miss the organization.
		return errors.New("read property organizationId of undefined")
	}
	return err
}

// bearer returns the token of the Authorization header, or "" which is nobody's key.
func bearer(r *http.Request) string {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// awaitDatabase is a read that BoxLite's API makes between looking and writing: while it lasts,
// other requests are served.
func (s *Server) awaitDatabase(ctx context.Context) error {
	if s.cfg.database <= 0 {
		return nil
	}
	t := time.NewTimer(s.cfg.database)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}
