package api

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func autostart(c *Config) { c.Autostart = true }

const runTrue = `{"command":"true"}`

func (g *rig) exec(id string) answer { return g.do("POST", "/v1/boxes/"+id+"/exec", runTrue) }

// stopped makes a box and stops it.
func (g *rig) stopped(body string) string {
	id := g.create(body)
	if g.status(id) == "configured" {
		require.Equal(g.t, 200, g.do("POST", "/v1/boxes/"+id+"/start", "").status)
	}
	require.Less(g.t, g.do("POST", "/v1/boxes/"+id+"/stop", "").status, 300)
	g.eventually(id, "stopped")
	return id
}

// before lets f run when the runner is asked for an exec for the nth time, counted from 1; then the
// runner answers with what f returns, or as usual when that is 0.
func (f *fakeRunner) before(n int64, do func() (status int, body string)) *atomic.Int64 {
	var asked atomic.Int64
	f.use(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/exec") && asked.Add(1) == n {
			if status, body := do(); status != 0 {
				w.WriteHeader(status)
				_, _ = w.Write([]byte(body))
				return
			}
		}
		f.usual(w, r)
	})
	return &asked
}

func TestAutostart_ExecStartsAStoppedBoxThatStaysRunning(t *testing.T) {
	g := newRig(t, autostart)
	id := g.stopped("")
	a := g.exec(id)
	require.Equal(t, 201, a.status, a.raw)
	require.Equal(t, "running", g.status(id), "at once")
	g.runner.report(t, g.runner.report(t, 0, nil), g.runner.look())
	require.Equal(t, "running", g.status(id), "and after a report")
	require.Equal(t, []string{createBox, stopBox, startBox}, g.runner.kinds(id))
}

func TestAutostart_ManyExecsShareOneStart(t *testing.T) {
	g := newRig(t, autostart)
	id := g.stopped("")
	g.runner.hold(startBox)
	answers := g.parallel(8, func(int) (string, string, string) { return "POST", "/v1/boxes/" + id + "/exec", runTrue }, func() {
		g.eventually(id, "configured")
		g.runner.letGo(startBox)
	})
	require.Equal(t, map[int]int{201: 8}, count(answers))
	require.Equal(t, []string{createBox, stopBox, startBox}, g.runner.kinds(id))
}

func TestAutostart_ExecOnAStoppingBoxWaitsForTheStop(t *testing.T) {
	g := newRig(t, autostart)
	id := g.create("")
	g.runner.hold(stopBox)
	require.Equal(t, 201, g.do("POST", "/v1/boxes/"+id+"/stop", "").status)
	answers := g.parallel(2, func(int) (string, string, string) { return "POST", "/v1/boxes/" + id + "/exec", runTrue }, func() {
		require.Equal(t, "stopping", g.status(id))
		require.Zero(t, g.runner.seen(), "nobody is asked to run anything in a box that stops")
		g.runner.letGo(stopBox)
	})
	require.Equal(t, map[int]int{201: 2}, count(answers))
	require.Equal(t, "running", g.status(id))
	require.Equal(t, []string{createBox, stopBox, startBox}, g.runner.kinds(id))
}

func TestAutostart_ExecOnANewBoxWaitsForIt(t *testing.T) {
	g := newRig(t, autostart)
	g.runner.hold(createBox)
	seen := make(chan struct{}) // the box is there and not made yet
	answers := g.parallel(2, func(i int) (string, string, string) {
		if i == 0 {
			return "POST", "/v1/boxes", `{"name":"n"}`
		}
		g.eventually("n", "configured")
		close(seen)
		return "POST", "/v1/boxes/n/exec", runTrue
	}, func() {
		<-seen
		g.runner.letGo(createBox)
	})
	require.Equal(t, map[int]int{201: 2}, count(answers))
}

func TestAutostart_AStopBeforeTheCommandMeansStartingAgain(t *testing.T) {
	g := newRig(t, autostart)
	id := g.stopped("")
	asked := g.runner.before(1, func() (int, string) {
		a, err := call(keyA, "POST", g.url+"/v1/boxes/"+id+"/stop", "")
		require.NoError(t, err)
		require.Equal(t, 201, a.status, a.raw)
		return 409, `{"error":"stopped: box is not running","code":"stopped"}`
	})
	a := g.exec(id)
	require.Equal(t, 201, a.status, a.raw)
	require.JSONEq(t, `{"execution_id":"e1"}`, a.raw)
	require.EqualValues(t, 2, asked.Load())
	require.Equal(t, "running", g.status(id))
	require.Equal(t, []string{createBox, stopBox, startBox, stopBox, startBox}, g.runner.kinds(id))
	m := g.do("GET", "/v1/metrics", "")
	require.EqualValues(t, 1, m.body["total_commands_executed"])
	require.EqualValues(t, 0, m.body["total_exec_errors"], "what the caller does not get to know does not count")
}

func TestAutostart_ABoxThatDiedIsStartedAgain(t *testing.T) {
	g := newRig(t, autostart)
	id := g.create("")
	g.runner.before(1, func() (int, string) { return 409, `{"error":"stopped: box is not running"}` })
	require.Equal(t, 201, g.exec(id).status)
	require.Equal(t, []string{createBox, startBox}, g.runner.kinds(id), "the record said running, the runner knew better")
}

func TestAutostart_ABoxDeletedMeanwhileIsNotFound(t *testing.T) {
	g := newRig(t, autostart)
	id := g.stopped("")
	g.runner.before(1, func() (int, string) {
		a, err := call(keyA, "DELETE", g.url+"/v1/boxes/"+id, "")
		require.NoError(t, err)
		require.Equal(t, 204, a.status, a.raw)
		return 409, `{"error":"stopped: box is not running"}`
	})
	g.refused(g.exec(id), 404, "not_found", id)
	g.runner.before(1, func() (int, string) { return 404, `{"error":"box not found: it"}` })
	a := g.exec(g.create(""))
	require.Equal(t, 404, a.status, "what the runner says passes")
	require.JSONEq(t, `{"error":"box not found: it"}`, a.raw)
	require.Equal(t, 404, g.exec("none").status)
}

func TestAutostart_OtherConflictsPass(t *testing.T) {
	g := newRig(t, autostart)
	id := g.create("")
	g.runner.before(1, func() (int, string) { return 409, `{"error":"invalid state: no"}` })
	a := g.exec(id)
	require.Equal(t, 409, a.status)
	require.JSONEq(t, `{"error":"invalid state: no"}`, a.raw)
	require.Equal(t, []string{createBox}, g.runner.kinds(id))
}

func TestAutostart_ReadyInTimeOr408(t *testing.T) {
	g := newRig(t, autostart, func(c *Config) { c.ReadyWaitMillis = 50 })
	id := g.stopped("")
	g.runner.hold(startBox)
	g.refused(g.exec(id), 408, "timeout", "failed to become ready")
	require.Equal(t, "configured", g.status(id))
	g.runner.letGo(startBox)
	g.eventually(id, "running")
	require.Zero(t, g.runner.seen(), "the exec is over, whatever becomes of the box")
}

func TestAutostart_AFailedStart(t *testing.T) {
	g := newRig(t, autostart)
	id := g.stopped("")
	g.runner.fail(startBox, true)
	g.refused(g.exec(id), 400, "boot_failed", "failed to start")
	g.refused(g.exec(id), 400, "invalid_state", "errored state")
}

func TestAutostart_NotToBeResumed(t *testing.T) {
	g := newRig(t, autostart)
	a := g.do("POST", "/v1/boxes", `{"auto_resume":false}`)
	require.Equal(t, false, a.body["auto_resume"])
	id := a.body["box_id"].(string)
	require.Equal(t, 201, g.exec(id).status)
	require.Equal(t, 201, g.do("POST", "/v1/boxes/"+id+"/stop", "").status)
	g.eventually(id, "stopped")
	g.refused(g.exec(id), 409, "conflict", "not to be resumed")
	require.Equal(t, []string{createBox, stopBox}, g.runner.kinds(id))
	require.Equal(t, true, g.do("POST", "/v1/boxes", "").body["auto_resume"])
	require.Equal(t, false, newRig(t).do("POST", "/v1/boxes", `{"auto_resume":true}`).body["auto_resume"], "no exec starts a box there")
}

func TestAutostart_CloseEndsTheWait(t *testing.T) {
	g := newRig(t, autostart)
	id := g.stopped("")
	g.runner.hold(startBox)
	waiting := make(chan answer, 1)
	go func() {
		a, err := call(keyA, "POST", g.url+"/v1/boxes/"+id+"/exec", runTrue)
		if err == nil {
			waiting <- a
		}
		close(waiting)
	}()
	g.eventually(id, "configured")
	g.api.stop()
	_, answered := <-waiting
	require.False(t, answered, "the box may start yet, after a restart")
}

func TestBug_AutostartStaleStatus(t *testing.T) {
	g := newRig(t, autostart, withBug("autostart-stale-status"))
	id := g.stopped("")
	g.runner.use(func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, 201, map[string]string{"execution_id": "e1"})
	})
	require.Equal(t, 201, g.exec(id).status)
	g.runner.report(t, g.runner.report(t, 0, nil), []claim{{id, "running"}})
	require.Equal(t, "stopped", g.status(id), "for ever")
	require.Equal(t, []string{createBox, stopBox}, g.runner.kinds(id))
}

func TestBug_ReconcilerStopsAgain(t *testing.T) {
	g := newRig(t, autostart, withBug("reconciler-stops-again"))
	id := g.stopped("")
	g.runner.use(func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, 201, map[string]string{"execution_id": "e1"})
	})
	require.Equal(t, 201, g.exec(id).status)
	g.runner.report(t, g.runner.report(t, 0, nil), []claim{{id, "running"}})
	require.Eventually(t, func() bool { return len(g.runner.kinds(id)) == 3 }, patience, time.Millisecond)
	require.Equal(t, []string{createBox, stopBox, stopBox}, g.runner.kinds(id))
	g.eventually(id, "stopped")
}
