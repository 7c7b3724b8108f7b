package api

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func serveProfile(c *Config) { c.Profile, c.Autostart = "serve", true }

func serveReject(c *Config) { c.Profile = "serve" }

// enveloped checks an error of the profile serve.
func (g *rig) enveloped(a answer, status int, code, kind, text string) {
	g.t.Helper()
	require.Equal(g.t, status, a.status, a.raw)
	e, ok := a.body["error"].(map[string]any)
	require.True(g.t, ok, a.raw)
	require.Len(g.t, a.body, 1, a.raw)
	require.Equal(g.t, code, e["code"], a.raw)
	require.Equal(g.t, kind, e["type"], a.raw)
	require.Contains(g.t, e["message"], text)
	require.Equal(g.t, a.header.Get("X-Request-Id"), e["request_id"])
	require.NotEmpty(g.t, e["request_id"])
}

// inFlight sends a request and returns where its answer comes.
func (g *rig) inFlight(method, path string) <-chan answer {
	out := make(chan answer, 1)
	go func() {
		a, _ := call(keyA, method, g.url+path, "") // an error is an answer with status 0
		out <- a
	}()
	return out
}

func TestServe_RoutesHaveNoPrefix(t *testing.T) {
	g := newRig(t, serveProfile)
	a := g.do("GET", "/v1/me", "")
	require.Equal(t, 200, a.status)
	require.Contains(t, a.body, "path_prefix")
	require.Nil(t, a.body["path_prefix"])
	require.Empty(t, a.header.Get("X-BoxLite-Api-Version"))
	require.Equal(t, 200, g.as("", "GET", "/v1/config", "").status)
	g.enveloped(g.do("GET", "/v1/orga/boxes", ""), 404, "not_found", "NotFoundError", "Cannot GET")
	g.enveloped(g.do("GET", "/api/v1/boxes", ""), 404, "not_found", "NotFoundError", "Cannot GET")
	g.enveloped(g.do("GET", "/v1", ""), 404, "not_found", "NotFoundError", "Cannot GET")
	g.enveloped(g.as("wrong", "GET", "/v1/boxes", ""), 401, "unauthenticated", "AuthError", "Unauthorized")
}

func TestServe_ANewBoxBootsWhenItIsNeeded(t *testing.T) {
	g := newRig(t, serveProfile)
	for _, wake := range []string{"exec", "start"} {
		a := g.do("POST", "/v1/boxes", "")
		require.Equal(t, 201, a.status, a.raw)
		require.Equal(t, "configured", a.body["status"])
		id := a.body["box_id"].(string)
		require.Equal(t, "/v1/boxes/"+id, a.header.Get("Location"))
		g.runner.report(t, g.runner.report(t, 0, nil), g.runner.look())
		require.Equal(t, "configured", g.status(id), "for the runner it is a stopped one")
		g.enveloped(g.do("POST", "/v1/boxes/"+id+"/stop", ""), 409, "invalid_state", "InvalidStateError", "not started")
		require.Equal(t, map[string]int{"exec": 201, "start": 200}[wake], g.do("POST", "/v1/boxes/"+id+"/"+wake, runTrue).status)
		require.Equal(t, "running", g.status(id))
		require.Equal(t, []string{createBox, startBox}, g.runner.kinds(id))
	}
	loc := g.exec(g.create("")).header.Get("Location")
	require.True(t, strings.HasPrefix(loc, "/v1/boxes/"), loc)
}

func TestServe_WhatIsAnsweredIsDone(t *testing.T) {
	g := newRig(t, serveProfile)
	id := g.create(`{"name":"n"}`)
	require.Equal(t, "running", g.do("POST", "/v1/boxes/"+id+"/start", "").body["status"])
	require.Equal(t, 200, g.do("POST", "/v1/boxes/"+id+"/start", "").status, "it runs already")
	g.runner.hold(stopBox)
	answers := g.parallel(4, func(int) (string, string, string) { return "POST", "/v1/boxes/" + id + "/stop", "" }, func() {
		g.eventually(id, "stopping")
		g.runner.letGo(stopBox)
	})
	for _, a := range answers {
		require.Equal(t, 200, a.status, a.raw)
		require.Equal(t, "stopped", a.body["status"])
	}
	require.Equal(t, 200, g.do("POST", "/v1/boxes/"+id+"/stop", "").status, "it is stopped already")
	require.Equal(t, []string{createBox, startBox, stopBox}, g.runner.kinds(id))

	g.runner.hold(startBox)
	started := g.inFlight("POST", "/v1/boxes/"+id+"/start")
	g.eventually(id, "configured")
	removed := g.inFlight("DELETE", "/v1/boxes/n")
	g.runner.letGo(startBox)
	require.Equal(t, 200, (<-started).status)
	require.Equal(t, 204, (<-removed).status, "it waits for the start")
	require.Empty(t, g.runner.look(), "nothing is left when it is answered")
	require.Equal(t, []string{createBox, startBox, stopBox, startBox, destroyBox}, g.runner.kinds(id))
	g.enveloped(g.do("DELETE", "/v1/boxes/"+id, ""), 404, "not_found", "NotFoundError", id)
	g.create(`{"name":"n"}`)
}

func TestServe_StartWaitsForAStop(t *testing.T) {
	g := newRig(t, serveReject)
	id := g.create("")
	require.Equal(t, 201, g.exec(id).status)
	g.runner.hold(stopBox)
	stopped := g.inFlight("POST", "/v1/boxes/"+id+"/stop")
	g.eventually(id, "stopping")
	started := g.inFlight("POST", "/v1/boxes/"+id+"/start")
	g.runner.letGo(stopBox)
	require.Equal(t, 200, (<-stopped).status)
	require.Equal(t, 200, (<-started).status)
	require.Equal(t, "running", g.status(id))
}

func TestServe_DeleteForcesUnlessToldOtherwise(t *testing.T) {
	g := newRig(t, serveProfile)
	id := g.create("")
	require.Equal(t, 201, g.exec(id).status)
	g.enveloped(g.do("DELETE", "/v1/boxes/"+id+"?force=false", ""), 409, "invalid_state", "InvalidStateError", "running")
	require.Equal(t, 204, g.do("DELETE", "/v1/boxes/"+id, "").status)
	require.Equal(t, 204, g.do("DELETE", "/v1/boxes/"+g.create("")+"?force=false", "").status, "one that never ran")
	require.Equal(t, 204, g.do("DELETE", "/v1/boxes/"+g.stopped("")+"?force=false", "").status)
}

func TestServe_ExecOnAStoppedBox(t *testing.T) {
	g := newRig(t, serveProfile)
	id := g.stopped("")
	require.Equal(t, 201, g.exec(id).status)
	require.Equal(t, "running", g.status(id))

	g = newRig(t, serveReject)
	id = g.stopped("")
	g.enveloped(g.exec(id), 409, "conflict", "ConflictError", "not to be resumed")
	require.Equal(t, "stopped", g.status(id))
	require.Zero(t, g.runner.seen())
}

func TestServe_ErrorsOfTheRunnerGetAnEnvelope(t *testing.T) {
	g := newRig(t, serveProfile)
	id := g.create("")
	for _, c := range []struct {
		status           int
		body, code, kind string
		text             string
	}{
		{404, `{"error":"execution not found: e","code":"not_found","type":"NotFoundError"}`, "not_found", "NotFoundError", "execution not found: e"},
		{409, `{"error":"execution e already attached"}`, "invalid_state", "InvalidStateError", "already attached"},
		{409, `{"error":"stopped: box is not running","code":"stopped","type":"StoppedError"}`, "stopped", "StoppedError", "not running"},
		{422, `{"error":"Execution error: no"}`, "execution_failed", "ExecutionError", "Execution error"},
		{500, `{"error":"internal error: oops"}`, "internal", "InternalError", "oops"},
		{500, "panic: oh", "internal", "InternalError", "panic: oh"},
		{503, "", "upstream_unavailable", "UpstreamUnavailableError", "Service Unavailable"},
		{504, `{"error":"internal error: did not end"}`, "timeout", "TimeoutError", "did not end"},
	} {
		g.runner.use(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.body))
		})
		g.enveloped(g.do("GET", "/v1/boxes/"+id+"/executions/e", ""), c.status, c.code, c.kind, c.text)
		g.enveloped(g.do("GET", "/v1/boxes/"+id+"/metrics", ""), c.status, c.code, c.kind, c.text)
		_, resp, err := g.dial(keyA, "/v1/boxes/"+id+"/executions/e/attach")
		require.Error(t, err)
		require.Equal(t, c.status, resp.StatusCode)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Contains(t, string(body), `"code":"`+c.code+`"`, "refused attaches have a body, too")
	}
	_, resp, err := g.dial(keyA, "/v1/boxes/none/executions/e/attach")
	require.Error(t, err)
	require.Equal(t, 404, resp.StatusCode)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Contains(t, string(body), `"code":"not_found"`)
	g.runner.srv.CloseClientConnections()
	g.runner.srv.Close()
	g.enveloped(g.do("GET", "/v1/boxes/"+id+"/metrics", ""), 503, "upstream_unavailable", "UpstreamUnavailableError", "could not be reached")
}

func TestServe_RequestsAreNamed(t *testing.T) {
	g := newRig(t, serveProfile)
	req, err := http.NewRequest("GET", g.url+"/v1/boxes/none", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+keyA)
	req.Header.Set("X-Request-Id", "mine")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, resp.Body.Close())
	require.NoError(t, err)
	require.Equal(t, "mine", resp.Header.Get("X-Request-Id"))
	require.Contains(t, string(body), `"request_id":"mine"`)
}

func TestServe_BadRequests(t *testing.T) {
	g := newRig(t, serveProfile)
	for _, body := range []string{`{`, `{"colour":"red"}`, `{"cpus":"two"}`} {
		a := g.do("POST", "/v1/boxes", body)
		require.Equal(t, 422, a.status)
		require.Nil(t, a.body, "plain text: %s", a.raw)
		require.Contains(t, a.header.Get("Content-Type"), "text/plain")
	}
	for _, body := range []string{`{"cpus":0}`, `{"memory_mib":-1}`, `{"name":""}`, `{"image":"no-such:1"}`} {
		g.enveloped(g.do("POST", "/v1/boxes", body), 400, "invalid_argument", "InvalidArgumentError", "")
	}
	g.create(`{"name":"n"}`)
	g.enveloped(g.do("POST", "/v1/boxes", `{"name":"n"}`), 409, "already_exists", "AlreadyExistsError", "n")
	g.enveloped(g.do("POST", "/v1/boxes/n/exec", `{"command":"true","timeout_seconds":-1}`), 400, "invalid_argument", "InvalidArgumentError", "timeout_seconds")
	require.Equal(t, "configured", g.status("n"), "it has not been booted for that")
	g.enveloped(g.do("POST", "/v1/boxes/none/executions/e/signal", `{"signal":9}`), 400, "invalid_argument", "InvalidArgumentError", "signal 9")
	g.enveloped(g.do("POST", "/v1/boxes/none/executions/e/signal", `{"signal":15}`), 404, "not_found", "NotFoundError", "none")
	require.Equal(t, 200, g.do("POST", "/v1/boxes/n/executions/e/signal", `{"signal":15}`).status)
}

func TestServe_ListHasNoPages(t *testing.T) {
	g := newRig(t, serveProfile)
	a, b := g.create(""), g.create("")
	require.Equal(t, []string{a, b}, g.listed("?pageSize=1"))
	require.NotContains(t, g.do("GET", "/v1/boxes?pageSize=1", "").body, "next_page_token")
}

func TestServe_AFailedBoot(t *testing.T) {
	g := newRig(t, serveProfile)
	id := g.create("")
	g.runner.fail(startBox, true)
	g.enveloped(g.exec(id), 503, "engine_unavailable", "EngineError", "failed to start")
	g.enveloped(g.exec(id), 409, "invalid_state", "InvalidStateError", "errored")
}

func TestServe_SeededBugsHaveTheirPlaceHereToo(t *testing.T) {
	g := newRig(t, serveProfile, withBug("double-stop-500"))
	id := g.create("")
	require.Equal(t, 201, g.exec(id).status)
	g.runner.hold(stopBox)
	stopped := g.inFlight("POST", "/v1/boxes/"+id+"/stop")
	g.eventually(id, "stopping")
	require.Equal(t, 500, g.do("POST", "/v1/boxes/"+id+"/stop", "").status)
	g.runner.letGo(stopBox)
	require.Equal(t, 200, (<-stopped).status)

	g = newRig(t, serveProfile, withBug("removed-exec-500"))
	id = g.create("")
	require.Equal(t, 204, g.do("DELETE", "/v1/boxes/"+id, "").status)
	g.enveloped(g.exec(id), 500, "internal", "InternalError", "")

	g = newRig(t, serveProfile, withBug("refused-create-leaves-row"))
	require.Equal(t, 400, g.do("POST", "/v1/boxes", `{"image":"no-such:1"}`).status)
	require.Len(t, g.listed(""), 1)
}

func TestServe_UnknownProfileIsRefused(t *testing.T) {
	_, err := New(Config{Keys: []Key{{"k", "o"}}, RunnerToken: "t", Profile: "spec"}, nil)
	require.Error(t, err)
}
