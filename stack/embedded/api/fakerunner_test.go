package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// fakeRunner keeps boxes in a map. Jobs of a held type wait; jobs of a failing type fail.
type fakeRunner struct {
	api    string
	srv    *httptest.Server
	ctx    context.Context
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	mu      sync.Mutex
	boxes   map[string]string // id to running or stopped
	held    map[string]chan struct{}
	failing map[string]bool
	order   map[string][]string          // kinds of job by box
	active  map[string]int               // jobs in progress by box
	overlap bool                         // two jobs of one box were in progress at once
	jobs    map[string]map[string]string // what became of each, by id; nil = in progress
	execs   []http.Header
	serve   http.HandlerFunc // nil = the default
}

func newFakeRunner(t *testing.T, api string) *fakeRunner {
	f := &fakeRunner{
		api: api, boxes: map[string]string{}, held: map[string]chan struct{}{}, failing: map[string]bool{},
		order: map[string][]string{}, active: map[string]int{}, jobs: map[string]map[string]string{},
	}
	f.srv = httptest.NewServer(f)
	ctx, cancel := context.WithCancel(t.Context())
	f.ctx, f.cancel = ctx, cancel
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
			f.pause()
			continue
		}
		for _, j := range got.Jobs {
			f.tasks.Go(func() { f.perform(j) })
		}
	}
}

// perform does a job once, however often it comes, and tells how it went until that is heard.
func (f *fakeRunner) perform(j jobJSON) {
	f.mu.Lock()
	result, known := f.jobs[j.ID]
	if !known {
		f.jobs[j.ID] = nil
	}
	f.mu.Unlock()
	if !known {
		result = f.do(j)
	} else if result == nil {
		return
	}
	for f.post(context.Background(), "/runner/jobs/"+j.ID+"/complete", result, nil) != nil && f.ctx.Err() == nil {
		f.pause() // the API may be gone for good
	}
}

func (f *fakeRunner) pause() {
	select {
	case <-f.ctx.Done():
	case <-time.After(time.Millisecond):
	}
}

func (f *fakeRunner) do(j jobJSON) map[string]string {
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
	defer f.mu.Unlock()
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
	f.jobs[j.ID] = result
	return result
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
