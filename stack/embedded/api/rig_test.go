package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"chaos/stack/embedded/child"
)

func TestMain(m *testing.M) {
	child.Dispatch()
	os.Exit(m.Run())
}

const (
	keyA, keyB = "key-of-a", "key-of-b"
	orgA, orgB = "orga", "orgb"
	token      = "runner-token"
	patience   = 20 * time.Second
)

// rig is a server with a fake runner behind it.
type rig struct {
	t      *testing.T
	api    *Server
	url    string
	runner *fakeRunner
}

func newRig(t *testing.T, edit ...func(*Config)) *rig {
	t.Helper()
	cfg := Config{
		Keys: []Key{{keyA, orgA}, {keyB, orgB}}, RunnerToken: token,
		SweepMillis: 3_600_000,
	}
	for _, e := range edit {
		e(&cfg)
	}
	s, err := New(cfg, zap.NewNop())
	require.NoError(t, err)
	srv := httptest.NewServer(s)
	g := &rig{t: t, api: s, url: srv.URL + s.cfg.base}
	g.runner = newFakeRunner(t, srv.URL+"/api")
	t.Cleanup(func() {
		g.runner.close()
		s.Close()
		srv.CloseClientConnections()
		srv.Close()
	})
	require.Eventually(t, func() bool { _, up := s.store.runnerURL(time.Minute); return up }, patience, time.Millisecond)
	return g
}

func withBug(id string) func(*Config) { return func(c *Config) { c.Bugs = id } }

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   map[string]any
	raw    string
}

func (g *rig) do(method, path, body string) answer { return g.as(keyA, method, path, body) }

func (g *rig) as(key, method, path, body string) answer {
	a, err := call(key, method, g.url+path, body)
	require.NoError(g.t, err)
	return a
}

func call(key, method, url, body string) (answer, error) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	a := answer{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	_ = json.Unmarshal(raw, &a.body) // not every body is JSON
	return a, err
}

// create makes a box and returns its id.
func (g *rig) create(body string) string {
	a := g.do("POST", "/v1/boxes", body)
	require.Equal(g.t, 201, a.status, a.raw)
	return a.body["box_id"].(string)
}

func (g *rig) status(id string) string {
	a := g.do("GET", "/v1/boxes/"+id, "")
	if a.status != 200 {
		return fmt.Sprint(a.status)
	}
	return a.body["status"].(string)
}

func (g *rig) eventually(id, status string) {
	g.t.Helper()
	require.Eventually(g.t, func() bool { return g.status(id) == status }, patience, time.Millisecond, "box %s becomes %s", id, status)
}

// listed returns the ids in the caller's list.
func (g *rig) listed(query string) []string {
	a := g.do("GET", "/v1/boxes"+query, "")
	require.Equal(g.t, 200, a.status, a.raw)
	ids := []string{}
	for _, b := range a.body["boxes"].([]any) {
		ids = append(ids, b.(map[string]any)["box_id"].(string))
	}
	return ids
}

func (g *rig) refused(a answer, status int, code, text string) {
	g.t.Helper()
	require.Equal(g.t, status, a.status, a.raw)
	require.Contains(g.t, a.raw, text)
	require.Equal(g.t, code, a.body["code"], a.raw)
	require.EqualValues(g.t, status, a.body["statusCode"])
	for _, k := range []string{"path", "timestamp", "error", "message", "type"} {
		require.NotEmpty(g.t, a.body[k], "%s in %s", k, a.raw)
	}
}

// fakeRunner keeps boxes in a map. Jobs of a held type wait; jobs of a failing type fail.
type fakeRunner struct {
	api    string
	srv    *httptest.Server
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	mu      sync.Mutex
	boxes   map[string]string // id to running or stopped
	held    map[string]chan struct{}
	failing map[string]bool
	order   map[string][]string // kinds of job by box
	active  map[string]int      // jobs in progress by box
	overlap bool                // two jobs of one box were in progress at once
	execs   []http.Header
	serve   http.HandlerFunc // nil = the default
}

func newFakeRunner(t *testing.T, api string) *fakeRunner {
	f := &fakeRunner{
		api: api, boxes: map[string]string{}, held: map[string]chan struct{}{}, failing: map[string]bool{},
		order: map[string][]string{}, active: map[string]int{},
	}
	f.srv = httptest.NewServer(f)
	ctx, cancel := context.WithCancel(t.Context())
	f.cancel = cancel
	f.tasks.Go(func() { f.loop(ctx) })
	return f
}

func (f *fakeRunner) close() {
	f.cancel()
	f.mu.Lock()
	for kind := range f.held {
		close(f.held[kind])
		delete(f.held, kind)
	}
	f.mu.Unlock()
	f.tasks.Wait()
	f.srv.CloseClientConnections()
	f.srv.Close()
}

func (f *fakeRunner) hold(kind string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held[kind] = make(chan struct{})
}

func (f *fakeRunner) letGo(kind string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.held[kind])
	delete(f.held, kind)
}

func (f *fakeRunner) fail(kind string, on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failing[kind] = on
}

func (f *fakeRunner) use(h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.serve = h
}

func (f *fakeRunner) kinds(id string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string{}, f.order[id]...)
}

func (f *fakeRunner) seen() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.execs)
}

// post calls the runner side of the API.
func (f *fakeRunner) post(ctx context.Context, path string, in, out any) error {
	data, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, "POST", f.api+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s: %s", path, resp.Status)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

type pollAnswer struct {
	Epoch uint64    `json:"epoch"`
	Jobs  []jobJSON `json:"jobs"`
}

func (f *fakeRunner) loop(ctx context.Context) {
	for ctx.Err() == nil {
		var got pollAnswer
		if f.post(ctx, "/runner/jobs/poll", map[string]any{"runner_url": f.srv.URL, "wait_ms": 500, "max": 32}, &got) != nil {
			continue
		}
		for _, j := range got.Jobs {
			f.tasks.Go(func() { f.perform(j) })
		}
	}
}

func (f *fakeRunner) perform(j jobJSON) {
	f.mu.Lock()
	f.order[j.ResourceID] = append(f.order[j.ResourceID], j.Type)
	f.active[j.ResourceID]++
	f.overlap = f.overlap || f.active[j.ResourceID] > 1
	held, bad := f.held[j.Type], f.failing[j.Type]
	f.mu.Unlock()
	if held != nil {
		<-held
	}
	f.mu.Lock()
	result := map[string]string{"status": "completed"}
	switch {
	case bad:
		result = map[string]string{"status": "failed", "error": "no luck at /var/secret"}
	case j.Type == createBox && j.Payload.Lazy:
		f.boxes[j.ResourceID] = "stopped"
	case j.Type == createBox, j.Type == startBox:
		f.boxes[j.ResourceID] = "running"
		result["core_id"] = "core" + j.ResourceID
	case j.Type == stopBox:
		f.boxes[j.ResourceID] = "stopped"
	case j.Type == destroyBox:
		delete(f.boxes, j.ResourceID)
	}
	f.active[j.ResourceID]--
	f.mu.Unlock()
	_ = f.post(context.Background(), "/runner/jobs/"+j.ID+"/complete", result, nil) // the API may be gone already
}

// look is a sync report as the runner would make it now.
func (f *fakeRunner) look() []claim {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := []claim{}
	for id, st := range f.boxes {
		out = append(out, claim{id, st})
	}
	return out
}

func (f *fakeRunner) report(t *testing.T, epoch uint64, boxes []claim) uint64 {
	t.Helper()
	var out struct {
		Epoch uint64 `json:"epoch"`
	}
	require.NoError(t, f.post(t.Context(), "/runner/sync", map[string]any{"epoch": epoch, "boxes": boxes}, &out))
	return out.Epoch
}

// ServeHTTP is the exec family.
func (f *fakeRunner) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	serve := f.serve
	f.mu.Unlock()
	if serve == nil {
		serve = f.usual
	}
	serve(w, r)
}

// usual is 201 for an exec in a box that runs, an echo for attach.
func (f *fakeRunner) usual(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	seg := strings.Split(r.URL.EscapedPath(), "/")
	st := ""
	if len(seg) > 3 {
		st = f.boxes[seg[3]]
	}
	if strings.HasSuffix(r.URL.Path, "/exec") {
		f.execs = append(f.execs, r.Header.Clone())
	}
	f.mu.Unlock()
	switch {
	case r.Header.Get("Authorization") != "Bearer "+token:
		writeJSON(w, 401, map[string]string{"error": "bad runner token"})
	case st == "":
		writeJSON(w, 404, map[string]string{"error": "box not found: " + r.URL.Path})
	case strings.HasSuffix(r.URL.Path, "/exec") && st != "running":
		writeJSON(w, 409, map[string]string{"error": "stopped: box is not running"})
	case strings.HasSuffix(r.URL.Path, "/exec"):
		w.Header().Set("Location", r.URL.Path+"utions/e1")
		writeJSON(w, 201, map[string]string{"execution_id": "e1"})
	case strings.HasSuffix(r.URL.Path, "/attach"):
		echo(w, r)
	default:
		writeJSON(w, 200, map[string]string{"path": r.URL.EscapedPath(), "query": r.URL.RawQuery})
	}
}

// echo sends each message back, then an exit frame when the client says so.
func echo(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer c.CloseNow()
	for {
		kind, data, err := c.Read(r.Context())
		if err != nil {
			return
		}
		if kind == websocket.MessageText {
			_ = c.Write(r.Context(), websocket.MessageText, []byte(`{"type":"exit","exit_code":0}`))
			_ = c.Close(websocket.StatusNormalClosure, "")
			return
		}
		_ = c.Write(r.Context(), kind, append([]byte{1}, data...))
	}
}
