package api

import (
	"context"
	"net/http"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

func TestProxy_PassesRequestsAndHidesTheCallersKey(t *testing.T) {
	g := newRig(t)
	id := g.create(`{"name":"n"}`)
	a := g.do("POST", "/v1/orga/boxes/n/exec", `{"command":"true"}`)
	require.Equal(t, 201, a.status, a.raw)
	require.Equal(t, "e1", a.body["execution_id"])
	require.Equal(t, "/api/v1/boxes/"+id+"/executions/e1", a.header.Get("Location"))
	require.Equal(t, Version, a.header.Get("X-BoxLite-Api-Version"))
	require.Equal(t, "Bearer "+token, g.runner.execs[0].Get("Authorization"))
	for _, c := range [][2]string{
		{"GET", "/executions/a%2Fb"},
		{"DELETE", "/executions/e1"},
		{"POST", "/executions/e1/signal"},
		{"POST", "/executions/e1/resize"},
		{"GET", "/metrics"},
	} {
		a := g.do(c[0], "/v1/boxes/n"+c[1]+"?x=1", "{}")
		require.Equal(t, 200, a.status, a.raw)
		require.Equal(t, "/v1/boxes/"+id+c[1], a.body["path"])
		require.Equal(t, "x=1", a.body["query"])
	}
	require.Equal(t, 201, g.do("POST", "/v1/boxes/n/stop", "").status)
	g.eventually(id, "stopped")
	a = g.do("POST", "/v1/boxes/n/exec", `{"command":"true"}`)
	require.Equal(t, 409, a.status, "a refusal of the runner passes as it is")
	require.JSONEq(t, `{"error":"stopped: box is not running"}`, a.raw)
	m := g.do("GET", "/v1/metrics", "")
	require.EqualValues(t, 1, m.body["total_commands_executed"])
	require.EqualValues(t, 1, m.body["total_exec_errors"])
}

func TestProxy_ServerErrorsOfTheRunner(t *testing.T) {
	g := newRig(t)
	id := g.create("")
	for _, c := range []struct {
		status int
		body   string
		want   int
	}{{500, `{"error":"exec failed"}`, 500}, {503, `{"error":"busy"}`, 503}, {500, "panic: oh", 502}, {500, "", 502}, {400, "plain", 400}} {
		g.runner.use(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.body))
		})
		a := g.do("POST", "/v1/boxes/"+id+"/exec", `{"command":"true"}`)
		if c.want == 502 {
			g.refused(a, 502, "runner_non_json_error", "without a JSON body")
			continue
		}
		require.Equal(t, c.want, a.status)
		require.Equal(t, c.body, a.raw)
	}
	g.runner.use(func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
	g.refused(g.do("POST", "/v1/boxes/"+id+"/exec", `{"command":"true"}`), 503, "upstream_unavailable", "could not be reached")
}

func (g *rig) dial(key, path string) (*websocket.Conn, *http.Response, error) {
	ctx, cancel := context.WithTimeout(g.t.Context(), patience)
	defer cancel()
	return websocket.Dial(ctx, g.url+path, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + key}}})
}

func TestProxy_Attach(t *testing.T) {
	g := newRig(t)
	id := g.create("")
	c, resp, err := g.dial(keyA, "/v1/boxes/"+id+"/executions/e1/attach?stdin=0")
	require.NoError(t, err)
	require.Equal(t, Version, resp.Header.Get("X-BoxLite-Api-Version"))
	defer c.CloseNow()
	c.SetReadLimit(1 << 20)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	big := make([]byte, 300<<10)
	require.NoError(t, c.Write(ctx, websocket.MessageBinary, big[:30<<10]))
	_, data, err := c.Read(ctx)
	require.NoError(t, err)
	require.Len(t, data, 30<<10+1)
	require.NoError(t, c.Write(ctx, websocket.MessageText, []byte(`{"type":"stdin_eof"}`)))
	kind, data, err := c.Read(ctx)
	require.NoError(t, err)
	require.Equal(t, websocket.MessageText, kind)
	require.JSONEq(t, `{"type":"exit","exit_code":0}`, string(data))
	_, _, err = c.Read(ctx)
	require.Equal(t, websocket.StatusNormalClosure, websocket.CloseStatus(err), "the runner's Close comes through")
}

func TestProxy_AttachRefusals(t *testing.T) {
	g := newRig(t)
	id := g.create("")
	for _, c := range []struct {
		key, path string
		status    int
	}{
		{"wrong", "/v1/boxes/" + id + "/executions/e/attach", 401},
		{keyA, "/v1/boxes/none/executions/e/attach", 404},
		{keyB, "/v1/boxes/" + id + "/executions/e/attach", 404},
		{keyB, "/v1/orga/boxes/" + id + "/executions/e/attach", 403},
		{keyA, "/v1/boxes/" + id + "/nothing", 404},
	} {
		_, resp, err := g.dial(c.key, c.path)
		require.Error(t, err)
		require.Equal(t, c.status, resp.StatusCode)
		require.EqualValues(t, 0, resp.ContentLength, "empty body")
		require.True(t, resp.Close, "and the end of the connection")
	}
	g.runner.use(func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, 409, map[string]string{"error": "execution e already attached"})
	})
	_, resp, err := g.dial(keyA, "/v1/boxes/"+id+"/executions/e/attach")
	require.Error(t, err)
	require.Equal(t, 409, resp.StatusCode, "the runner's refusal passes")
	g.runner.srv.CloseClientConnections()
	g.runner.srv.Close()
	_, resp, err = g.dial(keyA, "/v1/boxes/"+id+"/executions/e/attach")
	require.Error(t, err)
	require.Equal(t, 503, resp.StatusCode)
}

func TestClose_EndsAttachesAndWaits(t *testing.T) {
	g := newRig(t)
	id := g.create("")
	c, _, err := g.dial(keyA, "/v1/boxes/"+id+"/executions/e1/attach")
	require.NoError(t, err)
	defer c.CloseNow()
	g.runner.hold(createBox)
	waiting := make(chan answer, 1)
	go func() {
		a, err := call(keyA, "POST", g.url+"/v1/boxes", `{"name":"late"}`)
		if err == nil {
			waiting <- a
		}
		close(waiting)
	}()
	g.eventually("late", "configured")
	g.api.stop()
	_, answered := <-waiting
	require.False(t, answered, "the box may come yet, after a restart")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, _, err = c.Read(ctx)
	require.Error(t, err)
	require.NoError(t, ctx.Err())
}
