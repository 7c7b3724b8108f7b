package live_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/stack"
	"chaos/stack/live"
)

// boxes is a server with boxes in a list and a log of what was changed.
type boxes struct {
	mu      sync.Mutex
	names   map[string]string // id → name
	refuse  int               // status of creates, 0 = made
	changes []string          // method, path and body of all but GET
	next    int
}

func (b *boxes) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	path := strings.TrimPrefix(q.URL.Path, "/v1")
	var body map[string]any
	_ = json.NewDecoder(q.Body).Decode(&body)
	if q.Method != http.MethodGet {
		text, _ := json.Marshal(body)
		b.changes = append(b.changes, q.Method+" "+path+" "+string(text))
	}
	id := strings.TrimPrefix(path, "/boxes/")
	switch {
	case path == "/me":
		fmt.Fprint(w, `{"sub":"key"}`)
	case path == "/boxes" && q.Method == http.MethodPost && b.refuse != 0:
		w.WriteHeader(b.refuse)
	case path == "/boxes" && q.Method == http.MethodPost:
		b.next++
		id = fmt.Sprint("box", b.next)
		b.names[id], _ = body["name"].(string)
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"box_id":%q,"name":%q,"status":"running"}`, id, b.names[id])
	case path == "/boxes":
		list := []map[string]string{}
		for id, name := range b.names {
			list = append(list, map[string]string{"box_id": id, "name": name})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"boxes": list})
	case q.Method == http.MethodDelete:
		delete(b.names, id)
		w.WriteHeader(http.StatusNoContent)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// connected returns a server with a foreign box, and a target on it; change may set more of its Config.
func connected(t *testing.T, change func(*live.Config)) (*boxes, *live.Target) {
	b := &boxes{names: map[string]string{"foreign1": "theirs"}}
	s := httptest.NewServer(b)
	t.Cleanup(s.Close)
	cfg := live.Config{URL: s.URL, Key: key, Ledger: t.TempDir()}
	if change != nil {
		change(&cfg)
	}
	target, err := live.Connect(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(target.Close)
	return b, target
}

func do(t *testing.T, target *live.Target, method, path string, body any) (stack.Response, error) {
	t.Helper()
	return target.Client().Do(t.Context(), stack.Request{Method: method, Path: path, Body: body})
}

func named(name string) map[string]any { return map[string]any{"image": "alpine:latest", "name": name} }

func dead(t *testing.T, target *live.Target) error {
	t.Helper()
	select {
	case err := <-target.Dead():
		return err
	default:
		t.Fatal("the target is not stopped")
		return nil
	}
}

func TestGuard_RefusesToChangeABoxOfSomebodyElse(t *testing.T) {
	for _, try := range [][2]string{{"DELETE", "/boxes/foreign1?force=true"}, {"DELETE", "/boxes/theirs"}, {"POST", "/boxes/foreign1/stop"},
		{"POST", "/boxes/foreign1/exec"}, {"DELETE", "/boxes/foreign1/executions/x"}, {stack.Attaching, "/boxes/foreign1/executions/x/attach"}, {"POST", "/volumes"}, {"PUT", "/boxesx/y"}} {
		b, target := connected(t, nil)
		_, err := do(t, target, "GET", "/boxes", nil)
		require.NoError(t, err)
		_, err = do(t, target, try[0], try[1], nil)
		var stop *live.StopError
		require.ErrorAs(t, err, &stop, "%v", try)
		require.ErrorAs(t, dead(t, target), &stop)
		require.Contains(t, stop.Error(), "refused to send "+try[0])
		require.Empty(t, b.changes)
		_, err = do(t, target, "POST", "/boxes", named("chaos-1-b1"))
		require.ErrorAs(t, err, &stop, "nothing more is made")
	}
}

func TestGuard_LetsThroughWhatIsOursOrMadeUp(t *testing.T) {
	b, target := connected(t, nil)
	res, err := do(t, target, "POST", "/boxes", named("chaos-1-b1"))
	require.NoError(t, err)
	require.Equal(t, 201, res.Status)
	_, err = do(t, target, "GET", "/boxes", nil)
	require.NoError(t, err)
	for _, path := range []string{"/boxes/box1/stop", "/boxes/chaos-1-b1/stop", "/boxes/5f3e9a/stop"} {
		_, err = do(t, target, "POST", path, nil)
		require.NoError(t, err, path)
	}
	_, err = do(t, target, "DELETE", "/boxes/box1?force=true", nil)
	require.NoError(t, err)
	b.names["box1"] = "chaos-1-b1" // a list that shows what is gone is a bug of the stack, and no reason to stop
	_, err = do(t, target, "GET", "/boxes", nil)
	require.NoError(t, err)
	_, err = do(t, target, "DELETE", "/boxes/box1", nil)
	require.NoError(t, err)
	require.Contains(t, b.names, "foreign1")
}

func TestGuard_BoxesHaveABoundedLife(t *testing.T) {
	b, target := connected(t, func(c *live.Config) {
		c.Lifetime, c.Image = live.Lifetime{AutoStop: 2 * time.Minute, AutoDelete: 3 * time.Minute}, "debian:12"
	})
	body := named("chaos-1-b1")
	_, err := do(t, target, "POST", "/boxes", body)
	require.NoError(t, err)
	require.Equal(t, []string{`POST /boxes {"auto_delete":180,"auto_stop":120,"image":"debian:12","name":"chaos-1-b1"}`}, b.changes)
	require.Len(t, body, 2, "what the action holds is not changed")
	other := named("chaos-1-b2")
	other["image"] = "chaos-no-such-image:latest"
	_, err = do(t, target, "POST", "/boxes", other)
	require.NoError(t, err)
	require.Contains(t, b.changes[1], "no-such-image")
}

func TestGuard_Caps(t *testing.T) {
	_, target := connected(t, func(c *live.Config) { c.Caps.Boxes = 5 })
	var stop *live.StopError
	for i := range 6 {
		_, err := do(t, target, "POST", "/boxes", named(fmt.Sprint("chaos-1-b", i)))
		require.Equal(t, i == 5, err != nil, "%d: %v", i, err)
	}
	require.ErrorAs(t, dead(t, target), &stop)
	require.Contains(t, stop.Error(), "5 boxes of this run are on the stack and no more are allowed")
	_, err := do(t, target, "DELETE", "/boxes/box1", nil)
	require.NoError(t, err, "cleaning up goes on")

	_, target = connected(t, func(c *live.Config) { c.Caps.OutputBytes = 10 })
	_, err = do(t, target, "GET", "/boxes", nil)
	require.NoError(t, err)
	require.ErrorContains(t, dead(t, target), "--max-output")
}

func TestGuard_StopsWhenThereIsNoRoom(t *testing.T) {
	for _, status := range []int{429, 503} {
		b, target := connected(t, nil)
		b.refuse = status
		for i := range 10 {
			require.Empty(t, target.Dead(), "%d", i)
			_, err := do(t, target, "POST", "/boxes", named(fmt.Sprint("chaos-1-b", i)))
			require.NoError(t, err)
		}
		require.ErrorContains(t, dead(t, target), fmt.Sprintf("the stack refused 10 creates in a row for want of room (the last with %d)", status))
	}
}

func TestReserve_WaitsForRoom(t *testing.T) {
	_, target := connected(t, func(c *live.Config) { c.Caps = live.Caps{Boxes: 6, CreatesPerMinute: 1000} })
	_, err := target.Reserve(t.Context(), 7)
	require.True(t, live.IsConfig(err), "%v", err)
	first, err := target.Reserve(t.Context(), 4)
	require.NoError(t, err)
	second := make(chan error, 1)
	go func() {
		release, err := target.Reserve(t.Context(), 3)
		if err == nil {
			release()
		}
		second <- err
	}()
	require.Empty(t, second)
	first()
	require.NoError(t, <-second)
}

// TestLedger_KnowsWhatWasLeft plays a run that is killed: its ledger stays, and only its boxes go.
func TestLedger_KnowsWhatWasLeft(t *testing.T) {
	dir := t.TempDir()
	b, target := connected(t, func(c *live.Config) { c.Ledger = dir })
	for _, name := range []string{"chaos-1-b1", "chaos-1-b2"} {
		_, err := do(t, target, "POST", "/boxes", named(name))
		require.NoError(t, err)
	}
	_, err := do(t, target, "DELETE", "/boxes/box1", nil)
	require.NoError(t, err)
	require.Equal(t, 1, target.Left())
	b.names["foreign2"] = "chaos-1-b3" // never asked for
	cfg := live.Config{URL: target.Client().Endpoint().URL, Key: key}
	s, err := live.SweepStack(t.Context(), cfg, dir, 0, false)
	require.NoError(t, err)
	require.Equal(t, live.Sweep{Running: 1}, s, "a run that goes on is left alone")
	target.Close()
	for range 2 { // looking changes nothing
		s, err = live.SweepStack(t.Context(), cfg, dir, 0, true)
		require.NoError(t, err)
		require.Equal(t, live.Sweep{Boxes: []live.Swept{{ID: "box2", Name: "chaos-1-b2"}}, Others: 2}, s)
	}
	s, err = live.SweepStack(t.Context(), cfg, dir, 0, false)
	require.NoError(t, err)
	require.Len(t, s.Boxes, 1)
	require.Equal(t, map[string]string{"foreign1": "theirs", "foreign2": "chaos-1-b3"}, b.names)
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestLedger_HoldsNoKeyAndIsForUsOnly(t *testing.T) {
	dir := t.TempDir()
	_, target := connected(t, func(c *live.Config) { c.Ledger = dir })
	_, err := do(t, target, "POST", "/boxes", named("chaos-1-b1"))
	require.NoError(t, err)
	paths, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Len(t, paths, 1)
	text, err := os.ReadFile(paths[0])
	require.NoError(t, err)
	require.Contains(t, string(text), "chaos-1-b1")
	require.NotContains(t, string(text), "K3y")
	info, err := os.Stat(paths[0])
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}
