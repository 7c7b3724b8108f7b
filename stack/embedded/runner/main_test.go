package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"chaos/stack/embedded/child"
	"chaos/stack/embedded/sandbox"
	"chaos/stack/journal"
)

func TestMain(m *testing.M) {
	child.Dispatch()
	os.Exit(m.Run())
}

// deadline is for what should take milliseconds: long enough for a loaded machine, short enough to
// see a hang.
const deadline = 20 * time.Second

const (
	runnerToken = "runner-token"
	apiToken    = "api-token"
)

// fakeAPI is the API's side of the runner protocol: a queue of jobs and the reports that came in.
type fakeAPI struct {
	*httptest.Server
	mu        sync.Mutex
	jobs      []job
	wake      chan struct{}
	seq       int
	epoch     int64
	completed map[string]chan completion
	reports   [][]boxReport
	echoed    []int64 // epochs of the reports
	polls     int
	runnerURL string
	failNext  int // answer so many completions with 503
}

type completion struct {
	Status string `json:"status"`
	Error  string `json:"error"`
	CoreID string `json:"core_id"`
}

func newFakeAPI(t *testing.T) *fakeAPI {
	f := &fakeAPI{wake: make(chan struct{}), completed: map[string]chan completion{}, epoch: 100}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/runner/jobs/poll", f.poll)
	mux.HandleFunc("POST /api/runner/jobs/{id}/complete", f.complete)
	mux.HandleFunc("POST /api/runner/sync", f.sync)
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+apiToken {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *fakeAPI) poll(w http.ResponseWriter, r *http.Request) {
	var in struct {
		RunnerURL string `json:"runner_url"`
		WaitMS    int    `json:"wait_ms"`
		Max       int    `json:"max"`
	}
	_ = json.NewDecoder(r.Body).Decode(&in)
	f.mu.Lock()
	f.runnerURL = in.RunnerURL
	f.polls++
	if len(f.jobs) == 0 {
		wake := f.wake
		f.mu.Unlock()
		select {
		case <-wake:
		case <-time.After(time.Duration(in.WaitMS) * time.Millisecond):
		case <-r.Context().Done():
			return
		}
		f.mu.Lock()
	}
	n := min(len(f.jobs), in.Max)
	jobs := f.jobs[:n]
	f.jobs = f.jobs[n:]
	f.epoch++
	epoch := f.epoch
	f.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{"epoch": epoch, "jobs": jobs})
}

func (f *fakeAPI) complete(w http.ResponseWriter, r *http.Request) {
	var c completion
	_ = json.NewDecoder(r.Body).Decode(&c)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failNext > 0 {
		f.failNext--
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if ch := f.completed[r.PathValue("id")]; ch != nil {
		ch <- c
	}
	w.WriteHeader(http.StatusNoContent)
}

func (f *fakeAPI) sync(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Epoch int64       `json:"epoch"`
		Boxes []boxReport `json:"boxes"`
	}
	_ = json.NewDecoder(r.Body).Decode(&in)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reports = append(f.reports, in.Boxes)
	f.echoed = append(f.echoed, in.Epoch)
	f.epoch++
	writeJSON(w, http.StatusOK, map[string]any{"epoch": f.epoch})
}

// submit queues jobs and returns a channel for each that gives its completions.
func (f *fakeAPI) submit(jobs ...job) []chan completion {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]chan completion, len(jobs))
	for i, j := range jobs {
		if j.ID == "" {
			f.seq++
			j.ID = fmt.Sprintf("job-%d", f.seq)
		}
		if f.completed[j.ID] == nil {
			f.completed[j.ID] = make(chan completion, 10)
		}
		out[i] = f.completed[j.ID]
		f.jobs = append(f.jobs, j)
	}
	close(f.wake)
	f.wake = make(chan struct{})
	return out
}

// harness is a runner under a fake API.
type harness struct {
	t    *testing.T
	api  *fakeAPI
	r    *Runner // nil when the runner is another process
	addr string
	dir  string
	log  journal.Reader
	seq  int
}

var boxMode = sync.OnceValue(func() sandbox.Mode { m, _ := sandbox.Probe(); return m })

func newHarness(t *testing.T) (*harness, Config) {
	h := &harness{t: t, api: newFakeAPI(t), dir: t.TempDir()}
	logFile := filepath.Join(h.dir, "runner.log")
	h.log = journal.OpenFile(logFile)
	return h, Config{
		Token: runnerToken, APIURL: h.api.URL, APIToken: apiToken, StackID: "stack-" + t.Name(),
		Dir: h.dir, SandboxMode: int(boxMode()), Log: "file:" + logFile, SyncMillis: 20,
	}
}

// start runs a runner in this process.
func start(t *testing.T, change ...func(*Config)) *harness {
	t.Helper()
	h, cfg := newHarness(t)
	for _, f := range change {
		f(&cfg)
	}
	r, err := Start(cfg)
	require.NoError(t, err)
	h.r, h.addr = r, r.Addr()
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return h
}

func withBugs(list string) func(*Config) { return func(c *Config) { c.Bugs = list } }

func receive[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(deadline):
		t.Fatal("nothing received in time")
		panic("unreachable")
	}
}

// job does one job and returns its completion.
func (h *harness) job(kind, box string, p ...payload) completion {
	h.t.Helper()
	j := job{Type: kind, ResourceID: box}
	if len(p) > 0 {
		j.Payload = p[0]
	}
	return receive(h.t, h.api.submit(j)[0])
}

func (h *harness) mustJob(kind, box string, p ...payload) completion {
	h.t.Helper()
	c := h.job(kind, box, p...)
	require.Equal(h.t, "completed", c.Status, c.Error)
	return c
}

// box creates a running box and returns its id.
func (h *harness) box() string {
	h.t.Helper()
	h.seq++
	id := fmt.Sprintf("Box%09d", h.seq)
	h.mustJob("CREATE_BOX", id, payload{Image: "alpine:latest"})
	return id
}

// call sends a request and returns the status and the body.
func (h *harness) call(method, path string, body any, header ...string) (int, string) {
	h.t.Helper()
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		require.NoError(h.t, err)
		in = bytes.NewReader(text)
	}
	req, err := http.NewRequest(method, "http://"+h.addr+path, in)
	require.NoError(h.t, err)
	req.Header.Set("Authorization", "Bearer "+runnerToken)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := client.Do(req)
	require.NoError(h.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(h.t, err)
	return res.StatusCode, strings.TrimSpace(string(text))
}

var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}, Timeout: deadline}

func sh(script string) map[string]any {
	return map[string]any{"command": "/bin/sh", "args": []string{"-c", script}}
}

// tryExec starts a command and returns the status and, for 201, the execution's id, else the body.
func (h *harness) tryExec(box string, body any) (int, string) {
	h.t.Helper()
	status, text := h.call("POST", "/v1/boxes/"+box+"/exec", body)
	if status != http.StatusCreated {
		return status, text
	}
	var answer struct {
		ID string `json:"execution_id"`
	}
	require.NoError(h.t, json.Unmarshal([]byte(text), &answer))
	return status, answer.ID
}

func (h *harness) exec(box string, body any) string {
	h.t.Helper()
	status, id := h.tryExec(box, body)
	require.Equal(h.t, http.StatusCreated, status, id)
	return id
}

func execPath(box, exec string) string { return "/v1/boxes/" + box + "/executions/" + exec }

func (h *harness) info(box, exec string) executionInfo {
	h.t.Helper()
	status, text := h.call("GET", execPath(box, exec), nil)
	require.Equal(h.t, http.StatusOK, status, text)
	var i executionInfo
	require.NoError(h.t, json.Unmarshal([]byte(text), &i))
	return i
}

// ended waits until the execution reads completed and returns its exit code.
func (h *harness) ended(box, exec string) int {
	h.t.Helper()
	var i executionInfo
	require.Eventually(h.t, func() bool { i = h.info(box, exec); return i.Status == "completed" }, deadline, 2*time.Millisecond)
	require.NotNil(h.t, i.ExitCode)
	return *i.ExitCode
}

// seen is what an attach session delivered.
type seen struct {
	out, err []byte
	exit     *int
	errors   []string
	closed   websocket.StatusCode // -1: the connection ended without Close
}

// take adds one message.
func (s *seen) take(kind websocket.MessageType, p []byte) {
	if kind == websocket.MessageBinary {
		switch {
		case len(p) > 0 && p[0] == 1:
			s.out = append(s.out, p[1:]...)
		case len(p) > 0 && p[0] == 2:
			s.err = append(s.err, p[1:]...)
		}
		return
	}
	var m struct {
		Type    string `json:"type"`
		Code    int    `json:"exit_code"`
		Message string `json:"message"`
	}
	_ = json.Unmarshal(p, &m)
	if m.Type == "exit" {
		s.exit = &m.Code
	} else {
		s.errors = append(s.errors, m.Message)
	}
}

func (h *harness) dial(box, exec, query string) (*websocket.Conn, int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	c, res, err := websocket.Dial(ctx, "ws://"+h.addr+execPath(box, exec)+"/attach"+query, &websocket.DialOptions{
		HTTPClient: client2,
		HTTPHeader: http.Header{"Authorization": {"Bearer " + runnerToken}},
	})
	status := 0
	if res != nil {
		status = res.StatusCode
	}
	if c != nil {
		c.SetReadLimit(-1)
	}
	return c, status, err
}

// client2 has no Timeout, which would end attach sessions.
var client2 = &http.Client{Transport: client.Transport}

func (h *harness) attach(box, exec string) *websocket.Conn {
	h.t.Helper()
	c, _, err := h.dial(box, exec, "")
	require.NoError(h.t, err)
	h.t.Cleanup(func() { _ = c.CloseNow() })
	return c
}

// drain reads an attach session to its end.
func drain(c *websocket.Conn) (s seen) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	for {
		kind, p, err := c.Read(ctx)
		if err != nil {
			s.closed = websocket.CloseStatus(err)
			return s
		}
		s.take(kind, p)
	}
}

// until reads from c until stdout contains text.
func until(t *testing.T, c *websocket.Conn, s *seen, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	for !bytes.Contains(s.out, []byte(text)) {
		kind, p, err := c.Read(ctx)
		require.NoError(t, err, "have %q", s.out)
		s.take(kind, p)
	}
}

func send(t *testing.T, c *websocket.Conn, kind websocket.MessageType, p string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	require.NoError(t, c.Write(ctx, kind, []byte(p)))
}

// clean requires the end every attach session must have in the clean stack.
func clean(t *testing.T, s seen, code int) {
	t.Helper()
	require.NotNil(t, s.exit, "no exit frame")
	require.Equal(t, code, *s.exit)
	require.Equal(t, websocket.StatusNormalClosure, s.closed)
	require.Empty(t, s.errors)
}

// run starts a command and reads all of it through one attach session.
func (h *harness) run(box string, body any) seen {
	h.t.Helper()
	c := h.attach(box, h.exec(box, body))
	return drain(c)
}

// lines returns the log so far.
func (h *harness) lines() []string {
	h.t.Helper()
	require.NoError(h.t, h.log.Sync(context.Background()))
	entries, _, err := h.log.Scan(context.Background(), "")
	require.NoError(h.t, err)
	out := make([]string, len(entries))
	for i, e := range entries {
		require.Equal(h.t, identifier, e.Identifier)
		out[i] = e.Message
	}
	return out
}
