package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"go.uber.org/zap"

	"chaos/stack/embedded/bugs"
)

const (
	// proxyTimeout bounds a request to the runner that is not an upgrade.
	proxyTimeout = 5 * time.Minute
	// maxErrorBody is how much of a runner's error is read to see whether it is JSON.
	maxErrorBody = 64 << 10
)

// hop is what the proxy needs to know of the request it forwards.
type hop struct {
	box  record
	exec bool   // starts an execution
	path string // escaped, on the runner
	base *url.URL
	// asleep is set, and nothing is answered, when the runner says that the box of an exec has stopped;
	// nil = the caller gets to know.
	asleep *bool
}

type hopKey struct{}

func hopOf(ctx context.Context) hop {
	h, _ := ctx.Value(hopKey{}).(hop)
	return h
}

var (
	// errUnknownToRunner is raised when the runner does not know a box that the API sent it to.
	errUnknownToRunner = errors.New("runner does not know the box")
	// errAsleep is raised when a box has stopped since it was made ready.
	errAsleep = errors.New("box has stopped meanwhile")
)

func (s *Server) newProxy() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			h := hopOf(p.In.Context())
			p.Out.URL.Scheme, p.Out.URL.Host = h.base.Scheme, h.base.Host
			p.Out.URL.RawPath, p.Out.URL.Path = h.path, unescaped(h.path)
			p.Out.Host = h.base.Host
			p.Out.Header.Set("Authorization", "Bearer "+s.cfg.RunnerToken) // never the caller's key
		},
		Transport: &http.Transport{
			MaxIdleConns: 256, MaxIdleConnsPerHost: 256,
			IdleConnTimeout:    90 * time.Second,
			DisableCompression: true, // bodies pass as they are
			DialContext:        dialRunner,
		},
		FlushInterval:  -1,
		ModifyResponse: s.fromRunner,
		ErrorHandler:   s.proxyFailed,
		ErrorLog:       zap.NewStdLog(s.log),
	}
}

// streamBuffer is how much the kernel may hold of a stream on each side of the proxy, in bytes. By
// itself it would hold megabytes for a caller that does not read, and the runner would never notice.
const streamBuffer = 128 << 10

// boundBuffers bounds what the kernel holds for a caller.
func boundBuffers(ctx context.Context, c net.Conn) context.Context {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(streamBuffer)
	}
	return ctx
}

// dialRunner connects to the runner and bounds what the kernel holds of its answers.
func dialRunner(ctx context.Context, network, addr string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	c, err := dialer.DialContext(ctx, network, addr)
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(streamBuffer)
	}
	return c, err
}

func unescaped(path string) string {
	u, err := url.PathUnescape(path)
	if err != nil { // built from PathEscape
		panic(fmt.Sprintf("api: unescape %q: %v", path, err))
	}
	return u
}

// exec starts an execution on the runner.
func (s *Server) exec(w http.ResponseWriter, r *http.Request, org, ref string) error {
	if s.cfg.serve || s.cfg.Autostart {
		return s.execReady(w, r, org, ref)
	}
	find := s.store.find
	if s.cfg.bugs.Has(bugs.RemovedExec500) {
		find = s.store.findAny
	}
	row, ok := find(org, ref)
	switch {
	case !ok:
		return boxNotFound(ref)
	case row.state == creating, row.state == failed:
		return &apiError{status: http.StatusConflict, code: codeInvalidState, message: "Box is not in valid state"}
	}
	return s.startExec(w, r, row, nil)
}

// startExec passes an exec request to the runner.
func (s *Server) startExec(w http.ResponseWriter, r *http.Request, row record, asleep *bool) error {
	inFlight := s.execs.sent.Add(1)
	defer s.execs.sent.Add(-1)
	if s.cfg.bugs.Has(bugs.PathBypass) && inFlight > 1 && row.state == started {
		if done, err := s.execHere(w, r, row); done || err != nil {
			return err
		}
	}
	return s.send(w, r, hop{box: row, exec: true, asleep: asleep}, []string{"exec"})
}

// forward passes every other request of the exec family.
func (s *Server) forward(w http.ResponseWriter, r *http.Request, org, ref string, rest []string) error {
	if s.cfg.serve {
		if err := checkSignal(r, rest); err != nil {
			return err
		}
	}
	find := s.store.find
	if s.cfg.bugs.Has(bugs.TenantLeak) {
		find = s.store.findAnywhere
	}
	row, ok := find(org, ref)
	if !ok {
		return boxNotFound(ref)
	}
	if s.serveHere(w, r, row, rest) {
		return nil
	}
	return s.send(w, r, hop{box: row}, rest)
}

func (s *Server) send(w http.ResponseWriter, r *http.Request, h hop, rest []string) error {
	base, _ := s.store.runnerURL(0)
	if base == "" {
		return errNoRunner
	}
	var err error
	if h.base, err = url.Parse(base); err != nil {
		return fmt.Errorf("parse runner address: %w", err)
	}
	h.path = "/v1/boxes/" + h.box.id
	for _, p := range rest {
		h.path += "/" + url.PathEscape(p)
	}
	if rest[0] != "metrics" { // looking is not working
		s.store.active(h.box.id)
	}
	ctx, cancel := context.WithCancel(context.WithValue(r.Context(), hopKey{}, h))
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	if !isUpgrade(r) {
		var done context.CancelFunc
		ctx, done = context.WithTimeout(ctx, proxyTimeout)
		defer done()
	}
	s.proxy.ServeHTTP(w, r.WithContext(ctx))
	return nil
}

// fromRunner looks at the runner's answer. Bodies pass verbatim, with one exception: a server error
// that is not JSON would be unreadable for clients.
func (s *Server) fromRunner(resp *http.Response) error {
	h := hopOf(resp.Request.Context())
	if loc := resp.Header.Get("Location"); strings.HasPrefix(loc, "/v1/") {
		resp.Header.Set("Location", s.cfg.base+loc)
	}
	if h.asleep != nil && resp.StatusCode == http.StatusConflict {
		if asleep, err := saysStopped(resp); err != nil || asleep {
			return cmp.Or(err, errAsleep)
		}
	}
	if h.exec {
		s.log.Info("exec forwarded", zap.String("box", h.box.id), zap.Int("status", resp.StatusCode))
		s.store.countExec(h.box.org, resp.StatusCode == http.StatusCreated)
	}
	if h.exec && resp.StatusCode == http.StatusNotFound && s.cfg.bugs.Has(bugs.RemovedExec500) {
		return errUnknownToRunner
	}
	if s.cfg.serve && resp.StatusCode >= 400 {
		return s.wrapError(resp)
	}
	if resp.StatusCode < 500 {
		return nil
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	if err != nil {
		return fmt.Errorf("read runner error: %w", err)
	}
	if json.Valid(data) {
		resp.Body = readCloser{io.MultiReader(bytes.NewReader(data), resp.Body), resp.Body}
		return nil
	}
	return &apiError{status: http.StatusBadGateway, code: codeRunnerNotJSON, message: fmt.Sprintf("The runner answered %d without a JSON body", resp.StatusCode)}
}

type readCloser struct {
	io.Reader
	io.Closer
}

// proxyFailed answers when there is no answer of the runner that could be passed on.
func (s *Server) proxyFailed(w http.ResponseWriter, r *http.Request, err error) {
	var e *apiError
	switch {
	case errors.Is(err, errAsleep):
		*hopOf(r.Context()).asleep = true
		return
	case errors.As(err, &e), errors.Is(err, errUnknownToRunner):
	case errors.Is(err, context.DeadlineExceeded):
		err = &apiError{status: http.StatusGatewayTimeout, code: codeTimeout, message: "The runner did not answer in time"}
	case errors.Is(err, context.Canceled) && s.ctx.Err() == nil:
		return // the caller went away
	case s.ending(err):
		panic(http.ErrAbortHandler)
	default:
		s.log.Warn("runner unreachable", zap.String("path", r.URL.Path), zap.Error(err))
		err = &apiError{status: http.StatusServiceUnavailable, code: codeUpstream, message: "The runner could not be reached"}
	}
	if isUpgrade(r) && !s.cfg.serve {
		s.refuseUpgrade(w, err)
		return
	}
	s.fail(w, r, err)
}

func isUpgrade(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// refuseUpgrade answers an attach that the API itself turns away: a status, an empty body, and the
// end of the connection.
func (s *Server) refuseUpgrade(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	var e *apiError
	if errors.As(err, &e) {
		status = e.status
	}
	w.Header().Set("Connection", "close")
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(status)
}
