package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
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
