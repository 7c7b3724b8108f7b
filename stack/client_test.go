package stack_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/stack"
)

// key is distinctive, so that it can be looked for where it must not be.
const key = "blk_test_K3y-that-must-stay-secret"

// seen is one request as the server got it.
type seen struct{ method, path, auth, contentType, body string }

// recorder is a server that notes each request before handle answers it.
type recorder struct {
	*httptest.Server
	mu   sync.Mutex
	reqs []seen
}

func record(t *testing.T, handle http.HandlerFunc) *recorder {
	r := &recorder{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		r.mu.Lock()
		r.reqs = append(r.reqs, seen{q.Method, q.URL.RequestURI(), q.Header.Get("Authorization"), q.Header.Get("Content-Type"), string(body)})
		r.mu.Unlock()
		handle(w, q)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *recorder) requests() []seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]seen(nil), r.reqs...)
}

func newClient(t *testing.T, ep stack.Endpoint) *stack.Client {
	c := stack.New(ep)
	t.Cleanup(c.Close)
	return c
}

func status(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// hangUp closes the connection without an answer.
func hangUp(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

// cutBody promises more than it sends.
func cutBody(w http.ResponseWriter, _ *http.Request) {
	conn, rw, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_, _ = rw.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"boxes\":[")
		_ = rw.Flush()
		_ = conn.Close()
	}
}

func TestClient_NeverSendsARequestTwice(t *testing.T) {
	for what, handle := range map[string]http.HandlerFunc{
		"unavailable":    status(503, "later"),
		"too many":       func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", "0"); w.WriteHeader(429) },
		"server error":   status(500, "oops"),
		"gateway":        status(502, ""),
		"timeout":        status(408, ""),
		"connection cut": hangUp,
		"answer cut":     cutBody,
		"redirected":     func(w http.ResponseWriter, q *http.Request) { http.Redirect(w, q, "/v1/elsewhere", http.StatusFound) },
		"redirected for good": func(w http.ResponseWriter, q *http.Request) {
			http.Redirect(w, q, "/v1/elsewhere", http.StatusPermanentRedirect)
		},
		"who are you": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", "Basic")
			w.WriteHeader(401)
		},
	} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			t.Run(what+" "+method, func(t *testing.T) {
				s := record(t, handle)
				var body any
				if method == "POST" {
					body = map[string]int{"n": 1}
				}
				_, _ = newClient(t, stack.Endpoint{URL: s.URL, Key: key}).Do(t.Context(), stack.Request{Method: method, Path: "/boxes", Body: body})
				require.Len(t, s.requests(), 1)
			})
		}
	}
}

func TestClient_AnyStatusIsAnAnswer(t *testing.T) {
	for _, code := range []int{200, 201, 204, 301, 302, 307, 308, 400, 401, 404, 409, 422, 429, 500, 502, 503, 504} {
		body := `{"error":"text"}`
		if code == 204 {
			body = ""
		}
		s := record(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/v1/elsewhere")
			status(code, body)(w, nil)
		})
		res, err := newClient(t, stack.Endpoint{URL: s.URL}).Do(t.Context(), stack.Request{Method: "POST", Path: "/boxes"})
		require.NoError(t, err)
		require.Equal(t, code, res.Status)
		require.Equal(t, body, string(res.Body))
		require.Equal(t, 1, res.Conns)
	}
}

func TestClient_NoWholeAnswerIsAnError(t *testing.T) {
	for what, handle := range map[string]http.HandlerFunc{"connection cut": hangUp, "answer cut": cutBody} {
		s := record(t, handle)
		res, err := newClient(t, stack.Endpoint{URL: s.URL, Key: key}).Do(t.Context(), stack.Request{Method: "GET", Path: "/boxes"})
		require.Error(t, err, what)
		require.Zero(t, res.Status, "%s: half an answer must not pass for one", what)
		require.Equal(t, 1, res.Conns, what)
	}
	waiting := make(chan struct{})
	s := record(t, func(_ http.ResponseWriter, q *http.Request) { close(waiting); <-q.Context().Done() })
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-waiting; cancel() }()
	_, err := newClient(t, stack.Endpoint{URL: s.URL}).Do(ctx, stack.Request{Method: "GET", Path: "/boxes"})
	require.ErrorIs(t, err, context.Canceled)
	_, err = newClient(t, stack.Endpoint{URL: deadURL(t)}).Do(t.Context(), stack.Request{Method: "GET", Path: "/boxes"})
	require.ErrorContains(t, err, "GET /boxes: ")
}

// deadURL is an address on which nobody listens.
func deadURL(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return "http://" + l.Addr().String()
}

func TestClient_BuildsThePathAndTheBody(t *testing.T) {
	empty, other := "", "other-key"
	for what, tc := range map[string]struct {
		prefix, base string
		req          stack.Request
		want         seen
	}{
		"no prefix":             {"", "/api", stack.Request{Method: "GET", Path: "/boxes"}, seen{"GET", "/api/v1/boxes", "Bearer " + key, "", ""}},
		"a slash at the end":    {"", "/api///", stack.Request{Method: "GET", Path: "/boxes"}, seen{"GET", "/api/v1/boxes", "Bearer " + key, "", ""}},
		"a prefix":              {"org-7", "", stack.Request{Method: "GET", Path: "/boxes"}, seen{"GET", "/v1/org-7/boxes", "Bearer " + key, "", ""}},
		"a prefix of two parts": {"/a/b/", "", stack.Request{Method: "GET", Path: "/boxes"}, seen{"GET", "/v1/a/b/boxes", "Bearer " + key, "", ""}},
		"a query stays":         {"", "", stack.Request{Method: "DELETE", Path: "/boxes/x?force=true"}, seen{"DELETE", "/v1/boxes/x?force=true", "Bearer " + key, "", ""}},
		"a body":                {"", "", stack.Request{Method: "POST", Path: "/boxes", Body: map[string]any{"name": "n", "cpus": 0}}, seen{"POST", "/v1/boxes", "Bearer " + key, "application/json", `{"cpus":0,"name":"n"}`}},
		"another token":         {"", "", stack.Request{Method: "GET", Path: "/boxes", Token: &other}, seen{"GET", "/v1/boxes", "Bearer other-key", "", ""}},
		"another scheme":        {"", "", stack.Request{Method: "GET", Path: "/boxes", Authorization: &other}, seen{"GET", "/v1/boxes", "other-key", "", ""}},
		"no scheme at all":      {"", "", stack.Request{Method: "GET", Path: "/boxes", Authorization: &empty}, seen{"GET", "/v1/boxes", "", "", ""}},
		"no token":              {"", "", stack.Request{Method: "GET", Path: "/boxes", Token: &empty}, seen{"GET", "/v1/boxes", "", "", ""}},
		"an id that needs care": {"", "", stack.Request{Method: "GET", Path: stack.BoxPath("a/b c?", "exec")}, seen{"GET", "/v1/boxes/a%2Fb%20c%3F/exec", "Bearer " + key, "", ""}},
		"a post without a body": {"", "", stack.Request{Method: "POST", Path: stack.BoxPath("x", "stop")}, seen{"POST", "/v1/boxes/x/stop", "Bearer " + key, "", ""}},
		"below an execution, two": {"", "", stack.Request{Method: "POST", Path: stack.BoxPath("x", "executions", "y", "signal"), Body: map[string]int{"signal": 15}},
			seen{"POST", "/v1/boxes/x/executions/y/signal", "Bearer " + key, "application/json", `{"signal":15}`}},
	} {
		s := record(t, status(200, "{}"))
		_, err := newClient(t, stack.Endpoint{URL: s.URL + tc.base, Key: key, Prefix: tc.prefix}).Do(t.Context(), tc.req)
		require.NoError(t, err, what)
		require.Equal(t, []seen{tc.want}, s.requests(), what)
	}
}

func TestClient_ABodyThatIsNoJSONIsNeverSent(t *testing.T) {
	s := record(t, status(200, "{}"))
	_, err := newClient(t, stack.Endpoint{URL: s.URL}).Do(t.Context(), stack.Request{Method: "POST", Path: "/boxes", Body: func() {}})
	var bad *json.UnsupportedTypeError
	require.ErrorAs(t, err, &bad)
	require.Empty(t, s.requests())
}

// dying is a server that answers the first request of its first connection, keeps that connection,
// and hangs up on the second request there without an answer. Other connections are served.
type dying struct {
	net.Listener
	mu  sync.Mutex
	got []string // method and connection of each request
}

func startDying(t *testing.T) *dying {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	d := &dying{Listener: l}
	var conns sync.WaitGroup
	conns.Go(func() {
		for n := 1; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { d.serve(c, n == 1) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); conns.Wait() })
	return d
}

func (d *dying) serve(c net.Conn, first bool) {
	defer c.Close()
	in := bufio.NewReader(c)
	for n := 1; ; n++ {
		q, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, q.Body)
		d.mu.Lock()
		d.got = append(d.got, q.Method)
		d.mu.Unlock()
		if first && n == 2 {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}")
	}
}

func (d *dying) requests() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.got, " ")
}

func TestClient_ConnsTellsThatTheTransportSentARequestAgain(t *testing.T) {
	d := startDying(t)
	c := newClient(t, stack.Endpoint{URL: "http://" + d.Addr().String()})
	res, err := c.Do(t.Context(), stack.Request{Method: "GET", Path: "/boxes"})
	require.NoError(t, err)
	require.Equal(t, 1, res.Conns)
	res, err = c.Do(t.Context(), stack.Request{Method: "GET", Path: "/boxes"})
	require.NoError(t, err, "net/http sends a GET again when a kept connection turns out dead")
	require.Equal(t, 404, res.Status)
	require.Equal(t, "GET GET GET", d.requests())
	require.Equal(t, 2, res.Conns)
}

func TestClient_APostOnADeadConnectionIsUnknownAndNotSentAgain(t *testing.T) {
	d := startDying(t)
	c := newClient(t, stack.Endpoint{URL: "http://" + d.Addr().String()})
	_, err := c.Do(t.Context(), stack.Request{Method: "GET", Path: "/boxes"})
	require.NoError(t, err)
	_, err = c.Do(t.Context(), stack.Request{Method: "POST", Path: "/boxes", Body: map[string]string{"name": "n"}})
	require.Error(t, err)
	require.Equal(t, "GET POST", d.requests())
}

// A handshake that is sent again on a kept connection that has died could meet its own first try.
func TestAttach_IsNeverSentAgain(t *testing.T) {
	d := startDying(t)
	c := newClient(t, stack.Endpoint{URL: "http://" + d.Addr().String()})
	_, err := c.Do(t.Context(), stack.Request{Method: "GET", Path: "/boxes"}) // leaves a connection that will be dead
	require.NoError(t, err)
	for range 2 {
		_, res, err := c.Attach(t.Context(), "b", "e", stack.AttachOptions{Now: clock})
		require.NoError(t, err)
		require.Equal(t, 404, res.Status)
		require.Equal(t, 1, res.Conns)
	}
	require.Equal(t, "GET GET GET", d.requests())
}

func TestClient_KeepsConnectionsForManyCallers(t *testing.T) {
	var mu sync.Mutex
	opened := map[string]bool{}
	s := record(t, func(w http.ResponseWriter, q *http.Request) {
		mu.Lock()
		opened[q.RemoteAddr] = true
		mu.Unlock()
		status(200, "{}")(w, q)
	})
	c := newClient(t, stack.Endpoint{URL: s.URL})
	const callers, each = 16, 12
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range each {
				_, _ = c.Do(t.Context(), stack.Request{Method: "GET", Path: "/boxes"})
			}
		})
	}
	wg.Wait()
	require.Len(t, s.requests(), callers*each)
	require.LessOrEqual(t, len(opened), 4*callers, "connections are kept, not opened for each request")
}

func TestErrors_NeverHoldTheKey(t *testing.T) {
	cut := record(t, hangUp)
	half := record(t, cutBody)
	slow := record(t, func(_ http.ResponseWriter, q *http.Request) { <-q.Context().Done() })
	for what, ep := range map[string]stack.Endpoint{
		"nobody there":         {URL: deadURL(t), Key: key},
		"connection cut":       {URL: cut.URL, Key: key},
		"answer cut":           {URL: half.URL, Key: key},
		"no answer in time":    {URL: slow.URL, Key: key},
		"no such scheme":       {URL: "gopher://127.0.0.1", Key: key},
		"no URL at all":        {URL: "http://[::1", Key: key},
		"no header value":      {URL: cut.URL, Key: key + "\nX: y"},
		"a prefix like no URL": {URL: cut.URL, Key: key, Prefix: "%zz"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		c := newClient(t, ep)
		for _, method := range []string{"GET", "POST"} {
			_, err := c.Do(ctx, stack.Request{Method: method, Path: "/boxes"})
			require.Error(t, err, what)
			require.NotContains(t, err.Error(), "K3y", what)
		}
		a, _, err := c.Attach(ctx, "b", "e", stack.AttachOptions{Now: clock})
		require.Nil(t, a, what)
		if what != "answer cut" { // that one is an answer: a refusal with status 200
			require.Error(t, err, what)
			require.NotContains(t, err.Error(), "K3y", what)
		}
		cancel()
	}
}
