package api

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

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
	cfg    Config
	front  *httptest.Server
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
	g := &rig{t: t, cfg: cfg}
	g.start()
	g.runner = newFakeRunner(t, g.front.URL+"/api")
	t.Cleanup(func() {
		g.runner.close()
		g.api.Close()
		g.front.CloseClientConnections()
		g.front.Close()
	})
	require.Eventually(t, func() bool { _, up := g.api.store.runnerURL(time.Minute); return up }, patience, time.Millisecond)
	return g
}

// start starts the API, at the address it had if it had one.
func (g *rig) start() {
	s, err := New(g.cfg, zap.NewNop())
	require.NoError(g.t, err)
	ln, err := child.Listen(g.cfg.Listen)
	require.NoError(g.t, err)
	g.cfg.Listen = ln.Addr().String()
	g.api, g.front = s, httptest.NewUnstartedServer(s)
	g.front.Listener.Close()
	g.front.Listener = ln
	g.front.Start()
	g.url = g.front.URL + s.cfg.base
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
