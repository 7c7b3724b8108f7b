package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

func TestBug_NameRace(t *testing.T) {
	g := newRig(t, withBug("name-race"))
	g.create(`{"name":"taken"}`)
	g.refused(g.do("POST", "/v1/boxes", `{"name":"taken"}`), 409, "already_exists", "taken")
	round := 0
	require.Eventually(t, func() bool {
		round++
		body := fmt.Sprintf(`{"name":"n%d"}`, round)
		return count(g.parallel(2, func(int) (string, string, string) { return "POST", "/v1/boxes", body }, nil))[201] == 2
	}, patience, time.Millisecond)
}

func TestBug_ListGhost(t *testing.T) {
	g := newRig(t, withBug("list-ghost"))
	id := g.create("")
	epoch := g.runner.report(t, 0, nil)
	early := g.runner.look()
	require.Equal(t, 204, g.do("DELETE", "/v1/boxes/"+id, "").status)
	require.Empty(t, g.listed(""))
	g.runner.report(t, epoch, early)
	require.Equal(t, []string{id}, g.listed(""), "the ghost")
	require.Eventually(t, func() bool { return len(g.runner.look()) == 0 }, patience, time.Millisecond)
	require.Equal(t, "running", g.status(id), "and it stays")
}

func TestBug_RemovedExec500(t *testing.T) {
	g := newRig(t, withBug("removed-exec-500"))
	id := g.create("")
	require.Equal(t, 204, g.do("DELETE", "/v1/boxes/"+id, "").status)
	require.Eventually(t, func() bool { return len(g.runner.look()) == 0 }, patience, time.Millisecond)
	a := g.do("POST", "/v1/boxes/"+id+"/exec", `{"command":"true"}`)
	g.refused(a, 500, "internal", "Internal server error")
	require.Equal(t, 404, g.as(keyB, "POST", "/v1/boxes/"+id+"/exec", `{"command":"true"}`).status)
	require.Equal(t, 404, g.do("POST", "/v1/boxes/none/exec", `{"command":"true"}`).status)
	require.Equal(t, 201, g.do("POST", "/v1/boxes/"+g.create("")+"/exec", `{"command":"true"}`).status)
}

func TestBug_SyncOverwrite(t *testing.T) {
	g := newRig(t, withBug("sync-overwrite"))
	id := g.create("")
	epoch := g.runner.report(t, 0, nil)
	early := g.runner.look()
	g.runner.hold(stopBox)
	require.Equal(t, 201, g.do("POST", "/v1/boxes/"+id+"/stop", "").status)
	g.runner.report(t, epoch, early)
	g.runner.letGo(stopBox)
	require.Eventually(t, func() bool { return g.runner.look()[0].State == "stopped" && g.api.store.pendingJob(id) == nil }, patience, time.Millisecond)
	require.Equal(t, "running", g.status(id), "the runner has stopped it, the API says it runs")
	g.runner.report(t, g.runner.report(t, 0, nil), g.runner.look())
	require.Equal(t, "stopped", g.status(id), "until the next report")
}

func TestBug_SizeCoerced(t *testing.T) {
	g := newRig(t, withBug("size-coerced"))
	for _, body := range []string{`{"cpus":0}`, `{"cpus":999}`, `{"memory_mib":-1}`, `{"disk_size_gb":0}`} {
		a := g.do("POST", "/v1/boxes", body)
		require.Equal(t, 201, a.status, a.raw)
		require.EqualValues(t, 1, a.body["cpus"])
		require.EqualValues(t, 1024, a.body["memory_mib"])
	}
	require.Equal(t, 400, g.do("POST", "/v1/boxes", `{"cpus":"x"}`).status)
}

func TestBug_CodeMismatch(t *testing.T) {
	g := newRig(t, withBug("code-mismatch"))
	id := g.create("")
	require.Equal(t, 201, g.do("POST", "/v1/boxes/"+id+"/stop", "").status)
	g.eventually(id, "stopped")
	a := g.do("POST", "/v1/boxes/"+id+"/stop", "")
	require.Equal(t, 400, a.status)
	require.EqualValues(t, 500, a.body["statusCode"])
	require.NotContains(t, a.body, "code")
	g.refused(g.do("GET", "/v1/boxes/none", ""), 404, "not_found", "none")
}

func TestBug_RefusedCreateLeavesRow(t *testing.T) {
	g := newRig(t, withBug("refused-create-leaves-row"))
	g.refused(g.do("POST", "/v1/boxes", `{"image":"nope","name":"n"}`), 400, "invalid_argument", "nope")
	require.Len(t, g.listed(""), 1)
	require.Equal(t, "unknown", g.status("n"))
	require.Equal(t, 409, g.do("POST", "/v1/boxes", `{"name":"n"}`).status)
	require.Equal(t, 204, g.do("DELETE", "/v1/boxes/n", "").status)
	require.Empty(t, g.listed(""))
}

func TestBug_DoubleStop500(t *testing.T) {
	g := newRig(t, withBug("double-stop-500"))
	id := g.create("")
	g.runner.hold(stopBox)
	require.Equal(t, 201, g.do("POST", "/v1/boxes/"+id+"/stop", "").status)
	g.refused(g.do("POST", "/v1/boxes/"+id+"/stop", ""), 500, "internal", "Internal server error")
	g.runner.letGo(stopBox)
	g.eventually(id, "stopped")
	g.refused(g.do("POST", "/v1/boxes/"+id+"/stop", ""), 400, "invalid_state", "not started")
}

// bypassed returns the execution id of an exec that the API ran itself.
func (g *rig) bypassed(id, body string) string {
	g.t.Helper()
	busy, release := make(chan struct{}), make(chan struct{})
	g.runner.use(func(w http.ResponseWriter, _ *http.Request) {
		close(busy)
		<-release
		writeJSON(w, 201, map[string]string{"execution_id": "e1"})
	})
	first := make(chan answer, 1)
	go func() {
		a, err := call(keyA, "POST", g.url+"/v1/boxes/"+id+"/exec", `{"command":"true"}`)
		if err == nil {
			first <- a
		}
		close(first)
	}()
	<-busy
	g.runner.use(nil)
	before := g.runner.seen()
	a := g.do("POST", "/v1/boxes/"+id+"/exec", body)
	close(release)
	require.Equal(g.t, 201, (<-first).status)
	require.Equal(g.t, 201, a.status, a.raw)
	require.Equal(g.t, before, g.runner.seen(), "the runner never saw it")
	return a.body["execution_id"].(string)
}

func TestBug_PathBypass(t *testing.T) {
	g := newRig(t, withBug("path-bypass"))
	id := g.create(`{"env":{"A":"box"}}`)
	path := "/v1/boxes/" + id + "/executions/"
	exec := g.bypassed(id, `{"command":"sh","args":["-c","echo $A $B; echo err >&2; read x; echo got $x; exit 7"],"env":{"B":"exec"}}`)
	require.Len(t, exec, 36)
	require.Equal(t, "running", g.do("GET", path+exec, "").body["status"])
	require.Equal(t, 404, g.as(keyB, "GET", path+exec, "").status)

	c, _, err := g.dial(keyA, path+exec+"/attach")
	require.NoError(t, err)
	defer c.CloseNow()
	_, resp, err := g.dial(keyA, path+exec+"/attach")
	require.Error(t, err)
	require.Equal(t, 409, resp.StatusCode)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, c.Write(ctx, websocket.MessageText, []byte(`{"type":"dance"}`)))
	require.NoError(t, c.Write(ctx, websocket.MessageBinary, []byte("in\n")))
	streams, frames := map[byte]string{}, []string{}
	for {
		kind, data, err := c.Read(ctx)
		if err != nil {
			require.Equal(t, websocket.StatusNormalClosure, websocket.CloseStatus(err))
			break
		}
		if kind == websocket.MessageText {
			frames = append(frames, string(data))
			continue
		}
		streams[data[0]] += string(data[1:])
	}
	require.Equal(t, map[byte]string{1: "box exec\ngot in\n", 2: "err\n"}, streams)
	require.JSONEq(t, `{"type":"exit","exit_code":7}`, frames[len(frames)-1])
	require.Contains(t, strings.Join(frames, ""), "unknown frame type")
	info := g.do("GET", path+exec, "")
	require.Equal(t, "completed", info.body["status"])
	require.EqualValues(t, 7, info.body["exit_code"])
	require.Equal(t, 409, g.do("POST", path+exec+"/signal", `{"signal":15}`).status)
	require.Equal(t, 204, g.do("DELETE", path+exec, "").status)
}

func TestBug_PathBypass_SignalsTimeoutsAndRefusals(t *testing.T) {
	g := newRig(t, withBug("path-bypass"))
	id := g.create("")
	path := "/v1/boxes/" + id + "/executions/"
	code := func(exec string) any {
		var a answer
		require.Eventually(t, func() bool {
			a = g.do("GET", path+exec, "")
			return a.body["status"] == "completed"
		}, patience, time.Millisecond)
		return a.body["exit_code"]
	}
	exec := g.bypassed(id, `{"command":"sleep","args":["60"]}`)
	require.Equal(t, 400, g.do("POST", path+exec+"/signal", `{"signal":9}`).status)
	require.Equal(t, 400, g.do("POST", path+exec+"/resize", `{"cols":80,"rows":24}`).status)
	require.Equal(t, 204, g.do("POST", path+exec+"/signal", `{"signal":15}`).status)
	require.EqualValues(t, 143, code(exec))

	exec = g.bypassed(id, `{"command":"sleep","args":["60"],"timeout_seconds":0.1}`)
	require.EqualValues(t, 143, code(exec))

	exec = g.bypassed(id, `{"command":"sleep","args":["60"]}`)
	local := g.api.local.get(exec, id)
	require.Equal(t, 204, g.do("DELETE", path+exec, "").status)
	require.Eventually(t, func() bool { return local.info()["exit_code"] == 137 }, patience, time.Millisecond)

	exec = g.bypassed(id, `{"command":"sleep","args":["60"]}`)
	local = g.api.local.get(exec, id)
	g.api.local.killAll()
	require.Eventually(t, func() bool { return local.info()["exit_code"] == 137 }, patience, time.Millisecond)

	g.api.execs.sent.Add(1) // as if another request were on its way
	a := g.do("POST", "/v1/boxes/"+id+"/exec", `{"command":"/no/such"}`)
	require.Equal(t, 422, a.status)
	require.Contains(t, a.raw, "Execution error: ")
	a = g.do("POST", "/v1/boxes/"+id+"/exec", `{"command":"sh","tty":true}`)
	require.Equal(t, "e1", a.body["execution_id"], "what the fast path cannot do goes to the runner, body and all")
	g.api.execs.sent.Add(-1)
	a = g.do("POST", "/v1/boxes/"+id+"/exec", `{"command":"true"}`)
	require.Equal(t, "e1", a.body["execution_id"], "alone it goes to the runner")
}

// A stop is forgotten only with the bug, only by a kill, and only until it is written.
func TestBug_RestartForgetsStop(t *testing.T) {
	// stop stops a box, ends the API at once, and returns what the box settles in and what the runner had to do.
	stop := func(bug string, end func(*rig)) (string, []string) {
		g := newRig(t, kept(t), withBug(bug))
		id := g.create("")
		require.Equal(t, 201, g.do("POST", "/v1/boxes/"+id+"/stop", "").status)
		end(g)
		g.start()
		g.agreed()
		g.runner.report(t, g.runner.report(t, 0, nil), g.runner.look())
		return g.status(id), g.runner.kinds(id)
	}
	require.Eventually(t, func() bool { // it may have been written just before the kill
		st, kinds := stop("restart-forgets-stop", (*rig).kill)
		return st == "running" && len(kinds) == 1
	}, patience, time.Millisecond)
	for _, c := range []struct {
		bug string
		end func(*rig)
	}{{"", (*rig).kill}, {"", (*rig).stop}, {"restart-forgets-stop", (*rig).stop}} {
		st, kinds := stop(c.bug, c.end)
		require.Equal(t, "stopped", st)
		require.Equal(t, []string{createBox, stopBox}, kinds)
	}
	g := newRig(t, kept(t), withBug("restart-forgets-stop"))
	id := g.create("")
	require.Equal(t, 201, g.do("POST", "/v1/boxes/"+id+"/stop", "").status)
	g.eventually(id, "stopped")
}
