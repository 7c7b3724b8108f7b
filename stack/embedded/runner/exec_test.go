package runner

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/stack/embedded/sandbox"
)

// errorOf is the body of an error with that text. What stands in it is checked by TestErrorBody.
func errorOf(text string) string {
	b, _ := json.Marshal(errorBody(text))
	return string(b)
}

func TestErrorBody(t *testing.T) {
	require.Equal(t, `{"code":"stopped","error":"stopped: box x is not running","message":"box x is not running","type":"StoppedError"}`, errorOf("stopped: box x is not running"))
	require.Equal(t, `{"error":"execution x already attached"}`, errorOf("execution x already attached"))
}

func TestErrorsOfEveryRoute(t *testing.T) {
	h := start(t)
	box, other := h.box(), h.box()
	live := h.exec(box, map[string]any{"command": "sleep", "args": []string{"60"}})
	done := h.exec(box, map[string]any{"command": "true"})
	require.Equal(t, 0, h.ended(box, done))
	h.mustJob("STOP_BOX", other)

	const b = "/v1/boxes/"
	for _, c := range []struct {
		name, method, path string
		body               any
		status             int
		want               string // the whole body, or its beginning when it ends with …
	}{
		{"exec without command", "POST", b + box + "/exec", `{}`, 400, "invalid argument: command is required"},
		{"exec with broken JSON", "POST", b + box + "/exec", `{"command":`, 400, "invalid argument: …"},
		{"exec with empty body", "POST", b + box + "/exec", ``, 400, "invalid argument: …"},
		{"exec with two values", "POST", b + box + "/exec", `{"command":"true"}{}`, 400, "invalid argument: …"},
		{"exec with a wrong type", "POST", b + box + "/exec", `{"command":7}`, 400, "invalid argument: …"},
		{"exec with NUL", "POST", b + box + "/exec", `{"command":"a\u0000b"}`, 400, "invalid argument: …"},
		{"exec with bad variable", "POST", b + box + "/exec", `{"command":"true","env":{"A=B":"c"}}`, 400, "invalid argument: …"},
		{"exec in unknown box", "POST", b + "nobox/exec", `{"command":"true"}`, 404, "box not found: nobox"},
		{"bad exec in unknown box", "POST", b + "nobox/exec", `{}`, 400, "invalid argument: …"},
		{"exec in stopped box", "POST", b + other + "/exec", `{"command":"true"}`, 409, "stopped: box " + other + " is not running"},
		{"missing command", "POST", b + box + "/exec", `{"command":"/no/such/file"}`, 422, "Execution error: …"},
		{"command not in PATH", "POST", b + box + "/exec", `{"command":"nosuchcommand"}`, 422, "Execution error: …"},
		{"missing directory", "POST", b + box + "/exec", `{"command":"true","working_dir":"/no/such"}`, 422, "Execution error: …"},
		{"directory as command", "POST", b + box + "/exec", `{"command":"/root"}`, 422, "Execution error: …"},
		{"get unknown", "GET", execPath(box, "nope"), nil, 404, "execution not found: nope"},
		{"get through another box", "GET", execPath(other, live), nil, 404, "execution not found: " + live},
		{"delete unknown", "DELETE", execPath(box, "nope"), nil, 404, "execution not found: nope"},
		{"signal 9", "POST", execPath(box, live) + "/signal", `{"signal":9}`, 400, "invalid argument: signal 9 is not allowed"},
		{"signal 9 to unknown", "POST", execPath(box, "nope") + "/signal", `{"signal":9}`, 400, "invalid argument: signal 9 is not allowed"},
		{"signal missing", "POST", execPath(box, live) + "/signal", `{}`, 400, "invalid argument: signal is required"},
		{"signal with broken JSON", "POST", execPath(box, live) + "/signal", `{`, 400, "invalid argument: …"},
		{"signal to unknown", "POST", execPath(box, "nope") + "/signal", `{"signal":15}`, 404, "execution not found: nope"},
		{"signal to finished", "POST", execPath(box, done) + "/signal", `{"signal":15}`, 409, "invalid state: execution " + done + " has finished"},
		{"resize without terminal", "POST", execPath(box, live) + "/resize", `{"cols":80,"rows":24}`, 400, "invalid argument: …"},
		{"resize of finished", "POST", execPath(box, done) + "/resize", `{"cols":80,"rows":24}`, 409, "invalid state: execution " + done + " has finished"},
		{"resize of unknown", "POST", execPath(box, "nope") + "/resize", `{"cols":80,"rows":24}`, 404, "execution not found: nope"},
		{"negative resize", "POST", execPath(box, live) + "/resize", `{"cols":-1,"rows":24}`, 400, "invalid argument: …"},
		{"huge resize", "POST", execPath(box, live) + "/resize", `{"cols":70000,"rows":24}`, 400, "invalid argument: …"},
		{"attach without upgrade", "GET", execPath(box, live) + "/attach", nil, 400, "invalid argument: attach is a WebSocket"},
		{"attach to unknown", "GET", execPath(box, "nope") + "/attach", nil, 404, "execution not found: nope"},
		{"attach with bad query", "GET", execPath(box, live) + "/attach?stdin=maybe", nil, 400, "invalid argument: stdin=maybe"},
		{"metrics of unknown", "GET", b + "nobox/metrics", nil, 404, "box not found: nobox"},
		{"metrics of stopped", "GET", b + other + "/metrics", nil, 409, "stopped: box " + other + " is not running"},
		{"unknown route", "GET", b + box + "/files", nil, 404, "not found: GET " + b + box + "/files"},
		{"wrong method", "PUT", b + box + "/exec", nil, 404, "not found: PUT " + b + box + "/exec"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, text := h.call(c.method, c.path, c.body)
			require.Equal(t, c.status, status, text)
			if begin, open := strings.CutSuffix(c.want, "…"); open {
				require.Contains(t, text, `"error":"`+begin, text)
				return
			}
			require.Equal(t, errorOf(c.want), text)
		})
	}
}

func TestAuthorization(t *testing.T) {
	h := start(t)
	box := h.box()
	body := map[string]any{"command": "true"}
	for _, header := range []string{"", "Bearer wrong", "Bearer ", "Basic " + runnerToken, runnerToken} {
		status, text := h.call("POST", "/v1/boxes/"+box+"/exec", body, "Authorization", header)
		require.Equal(t, http.StatusUnauthorized, status)
		require.Equal(t, errorOf("unauthenticated: missing or wrong runner token"), text)
	}
	status, _ := h.call("POST", "/v1/boxes/"+box+"/exec", body, "Authorization", "", "X-BoxLite-Authorization", "Bearer "+runnerToken)
	require.Equal(t, http.StatusCreated, status)
	status, _ = h.call("GET", "/", nil, "Authorization", "")
	require.Equal(t, http.StatusOK, status)
	status, _ = h.call("GET", "/anything", nil, "Authorization", "")
	require.Equal(t, http.StatusUnauthorized, status)
}

func TestExecSeesWhatWasAsked(t *testing.T) {
	h := start(t)
	id := "BoxWithThings"
	h.mustJob("CREATE_BOX", id, payload{
		Env:        map[string]string{"A": "box", "B": "box", "BOXLITE_BOX_ID": "forged"},
		WorkingDir: "/workspace/new",
	})
	body := sh(`echo "$A $B $BOXLITE_BOX_ID $CHAOS_STACK $HOME"; pwd; echo bad >&2; exit 42`)
	body["env"] = map[string]string{"B": "exec", "CHAOS_STACK": "forged"}
	s := h.run(id, body)
	clean(t, s, 42)
	dir := "/workspace/new"
	if boxMode() == sandbox.Plain {
		dir = filepath.Join(h.dir, "boxes", id, dir) // as the machine sees it
	}
	require.Equal(t, "box exec "+id+" stack-"+t.Name()+" /root\n"+dir+"\n", string(s.out))
	require.Equal(t, "bad\n", string(s.err))

	body = sh("pwd")
	body["working_dir"] = "/usr"
	s = h.run(id, body)
	require.Equal(t, "/usr\n", string(s.out))
}

func TestInfo(t *testing.T) {
	h := start(t)
	box := h.box()
	e := h.exec(box, map[string]any{"command": "sleep", "args": []string{"60"}})
	i := h.info(box, e)
	require.Equal(t, "running", i.Status)
	require.Nil(t, i.ExitCode)
	require.Equal(t, "sleep 60", i.Command)
	require.False(t, i.Attached)
	_, err := time.Parse(time.RFC3339Nano, i.StartedAt)
	require.NoError(t, err)

	c := h.attach(box, e)
	require.True(t, h.info(box, e).Attached)
	require.NoError(t, c.CloseNow())
	require.Eventually(t, func() bool { return !h.info(box, e).Attached }, deadline, time.Millisecond)
}

// The way to the end and what GET says then, for every exit code and signal that matters.
func TestExitCodes(t *testing.T) {
	h := start(t)
	box := h.box()
	for _, code := range []int{0, 1, 2, 42, 126, 127, 255} {
		s := h.run(box, sh(fmt.Sprintf("exit %d", code)))
		clean(t, s, code)
	}
	for _, sig := range allowedSignals {
		t.Run(sig.String(), func(t *testing.T) {
			e := h.exec(box, sh(fmt.Sprintf(`trap 'echo got; exit 7' %d; echo ready; while :; do sleep 0.02; done`, sig)))
			c := h.attach(box, e)
			var s seen
			until(t, c, &s, "ready\n")
			status, text := h.call("POST", execPath(box, e)+"/signal", map[string]int{"signal": int(sig)})
			require.Equal(t, http.StatusNoContent, status, text)
			rest := drain(c)
			clean(t, rest, 7)
			require.Equal(t, "ready\ngot\n", string(s.out)+string(rest.out))
			require.Equal(t, 7, h.ended(box, e))
		})
	}
	e := h.exec(box, map[string]any{"command": "sleep", "args": []string{"60"}})
	status, _ := h.call("POST", execPath(box, e)+"/signal", map[string]int{"signal": 15})
	require.Equal(t, http.StatusNoContent, status)
	require.Equal(t, 128+15, h.ended(box, e))
}

func TestDeleteKillsAndForgets(t *testing.T) {
	h := start(t)
	box := h.box()
	e := h.exec(box, sh("echo before; trap '' TERM HUP INT; sleep 60 & sleep 60; echo never"))
	c := h.attach(box, e)
	var s seen
	until(t, c, &s, "before\n")
	status, text := h.call("DELETE", execPath(box, e), nil)
	require.Equal(t, http.StatusNoContent, status)
	require.Empty(t, text)
	clean(t, drain(c), 137)
	for _, method := range []string{"GET", "DELETE"} {
		status, _ = h.call(method, execPath(box, e), nil)
		require.Equal(t, http.StatusNotFound, status)
	}
	// A finished one can be deleted too.
	e = h.exec(box, map[string]any{"command": "true"})
	h.ended(box, e)
	status, _ = h.call("DELETE", execPath(box, e), nil)
	require.Equal(t, http.StatusNoContent, status)
}

// The time limit ends the whole group, children that ignore SIGTERM included, and the exec resolves
// although a child holds its output.
func TestTimeout(t *testing.T) {
	t.Parallel()
	h := start(t)
	box := h.box()
	for _, c := range []struct {
		name, script string
		code         int
	}{
		{"leader dies of TERM", "sleep 61 & wait", 143},
		{"all ignore TERM", "trap '' TERM; sleep 61 & while :; do sleep 61; done", 137},
		{"child ignores TERM", "(trap '' TERM; sleep 61) & wait", 143},
		{"children get TERM", "trap : TERM; (trap 'exit 5' TERM; while :; do sleep 0.02; done) & wait $!; wait $!; exit $?", 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			body := sh(c.script)
			body["timeout_seconds"] = 0.3
			e := h.exec(box, body)
			require.Equal(t, c.code, h.ended(box, e))
			require.Eventually(t, func() bool {
				s := h.run(box, sh(`for p in /proc/[0-9]*; do tr '\0' ' ' <$p/cmdline; echo; done 2>/dev/null`))
				return !strings.Contains(string(s.out), "sleep 61")
			}, deadline, 50*time.Millisecond)
		})
	}
}

func TestTimeoutOfZeroOrLessIsNone(t *testing.T) {
	h := start(t)
	box := h.box()
	for _, limit := range []float64{0, -1, 1e30} {
		body := sh("sleep 0.2; exit 3")
		body["timeout_seconds"] = limit
		require.Equal(t, 3, h.ended(box, h.exec(box, body)))
	}
}

func TestTerminal(t *testing.T) {
	h := start(t)
	box := h.box()
	body := sh(`trap 'stty size' WINCH; stty size; echo err >&2; tty; echo ready; while :; do sleep 0.02; done`)
	body["tty"] = true
	e := h.exec(box, body)
	c := h.attach(box, e)
	var s seen
	until(t, c, &s, "ready\r\n")
	require.Equal(t, "24 80\r\nerr\r\n/dev/pts/0\r\nready\r\n", string(s.out))
	require.Empty(t, s.err)

	s = seen{}
	status, text := h.call("POST", execPath(box, e)+"/resize", map[string]int{"cols": 132, "rows": 50})
	require.Equal(t, http.StatusNoContent, status, text)
	until(t, c, &s, "50 132\r\n")

	s = seen{}
	send(t, c, 1, `{"type":"resize","cols":81,"rows":25}`)
	until(t, c, &s, "25 81\r\n")

	send(t, c, 2, "\x03") // Ctrl-C
	clean(t, drain(c), 130)
}

func TestMetrics(t *testing.T) {
	h := start(t)
	box := h.box()
	h.run(box, sh("echo 12345"))
	h.tryExec(box, map[string]any{"command": "/no/such/file"})
	status, text := h.call("GET", "/v1/boxes/"+box+"/metrics", nil)
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, text, `"commands_executed_total":1`)
	require.Contains(t, text, `"exec_errors_total":1`)
	require.Contains(t, text, `"bytes_received_total":6`)
	status, _ = h.call("DELETE", execPath(box, h.exec(box, sh("sleep 60"))), nil)
	require.Equal(t, http.StatusNoContent, status)
	e := h.exec(box, sh("echo 67"))
	require.Equal(t, 0, h.ended(box, e))
	status, _ = h.call("DELETE", execPath(box, e), nil)
	require.Equal(t, http.StatusNoContent, status)
	_, after := h.call("GET", "/v1/boxes/"+box+"/metrics", nil)
	require.Contains(t, after, `"bytes_received_total":9`, "what an execution wrote counts also when it is forgotten")
	require.NotContains(t, text, `"memory_bytes":0`)
}

func TestReaper(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *Config) {
		c.ReapTickMillis, c.ReconnectGraceMillis, c.ShutdownGraceMillis, c.KeepFinishedMillis = 10, 1500, 100, 300
	})
	box := h.box()
	attached := h.exec(box, sh("sleep 60"))
	c := h.attach(box, attached)
	alone := h.exec(box, sh("sleep 60"))
	stubborn := h.exec(box, sh("trap '' HUP TERM; while :; do sleep 60; done"))
	done := h.exec(box, sh("exit 5"))
	gone := func(e string) func() bool {
		return func() bool { status, _ := h.call("GET", execPath(box, e), nil); return status == http.StatusNotFound }
	}
	for _, e := range []string{alone, stubborn, done} {
		require.Eventually(t, gone(e), deadline, 5*time.Millisecond)
	}
	log := strings.Join(h.lines(), "\n")
	require.Contains(t, log, "exec finished box_id="+box+" execution_id="+alone+" exit_code=129")
	require.Contains(t, log, "exec finished box_id="+box+" execution_id="+stubborn+" exit_code=137")
	require.Equal(t, "running", h.info(box, attached).Status)
	require.NoError(t, c.CloseNow())
	require.Eventually(t, gone(attached), deadline, 5*time.Millisecond)
}

// Short commands from many clients at once: each byte arrives, whatever the timing.
func TestShortExecsAreComplete(t *testing.T) {
	h := start(t)
	boxes := []string{h.box(), h.box()}
	const clients, each = 10, 50
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := range each {
				n := 1 + (c*each+i)%40
				token := fmt.Sprintf("c%di%d", c, i)
				s := h.run(boxes[c%2], sh(fmt.Sprintf(`i=0; while [ $i -lt %d ]; do echo %s-$i; echo %s+$i >&2; i=$((i+1)); done; exit %d`, n, token, token, n)))
				var out, err strings.Builder
				for k := range n {
					fmt.Fprintf(&out, "%s-%d\n", token, k)
					fmt.Fprintf(&err, "%s+%d\n", token, k)
				}
				if s.exit == nil || *s.exit != n || s.closed != 1000 || string(s.out) != out.String() || string(s.err) != err.String() {
					t.Errorf("exec %s: exit %v close %v out %q err %q", token, s.exit, s.closed, s.out, s.err)
				}
			}
		})
	}
	wg.Wait()
}
