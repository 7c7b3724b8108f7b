package runner

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// numbered is a script that prints about n bytes of numbered lines to both streams.
func numbered(n int) (script, want string) {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%09d\n", i)
	}
	return fmt.Sprintf("seq -f %%09.0f 0 %d | tee /dev/stderr", b.Len()/10-1), b.String()
}

// attachSoon attaches as soon as the slot is free.
func (h *harness) attachSoon(box, exec string) *websocket.Conn {
	h.t.Helper()
	var c *websocket.Conn
	require.Eventually(h.t, func() bool {
		var status int
		var err error
		if c, status, err = h.dial(box, exec, ""); err != nil {
			require.Equal(h.t, http.StatusConflict, status)
		}
		return err == nil
	}, deadline, 5*time.Millisecond)
	h.t.Cleanup(func() { _ = c.CloseNow() })
	return c
}

func TestAttachDeliversUpToTheLimitExactly(t *testing.T) {
	h := start(t)
	box := h.box()
	script, want := numbered(backlogLimit - 10)
	live := h.run(box, sh(script))
	clean(t, live, 0)
	require.True(t, want == string(live.out) && want == string(live.err), "%d and %d bytes of %d", len(live.out), len(live.err), len(want))

	e := h.exec(box, sh(script))
	require.Equal(t, 0, h.ended(box, e))
	for range 2 {
		s := drain(h.attachSoon(box, e))
		clean(t, s, 0)
		require.True(t, want == string(s.out) && want == string(s.err))
	}
}

func TestUnreadOutputKeepsTheLast256KiB(t *testing.T) {
	h := start(t)
	box := h.box()
	script, want := numbered(1 << 20)
	e := h.exec(box, sh(script))
	require.Equal(t, 0, h.ended(box, e), "a command must end although nobody reads")
	s := drain(h.attach(box, e))
	clean(t, s, 0)
	require.Equal(t, want[len(want)-backlogLimit:], string(s.out))
	require.Equal(t, want[len(want)-backlogLimit:], string(s.err))
}

func TestReattachReplaysEverything(t *testing.T) {
	h := start(t)
	box := h.box()
	e := h.exec(box, sh("echo one; read x; echo two; read x; echo three"))
	first := h.attach(box, e)
	var s seen
	until(t, first, &s, "one\n")
	send(t, first, websocket.MessageBinary, "\n")
	until(t, first, &s, "two\n")
	require.NoError(t, first.CloseNow())

	second := h.attachSoon(box, e)
	s = seen{}
	until(t, second, &s, "one\ntwo\n")
	send(t, second, websocket.MessageBinary, "\n")
	rest := drain(second)
	clean(t, rest, 0)
	require.Equal(t, "one\ntwo\nthree\n", string(s.out)+string(rest.out))
}

func TestOneWriterManyObservers(t *testing.T) {
	h := start(t)
	box := h.box()
	e := h.exec(box, sh("echo hello; read x; echo got $x"))
	writer := h.attach(box, e)
	_, status, err := h.dial(box, e, "")
	require.Error(t, err)
	require.Equal(t, http.StatusConflict, status)
	status, text := h.call("GET", execPath(box, e)+"/attach", nil, "Connection", "Upgrade", "Upgrade", "websocket")
	require.Equal(t, http.StatusConflict, status)
	require.Equal(t, errorOf("execution "+e+" already attached"), text)

	var observers []*websocket.Conn
	for _, query := range []string{"?stdin=0", "?stdin=false"} {
		c, _, err := h.dial(box, e, query)
		require.NoError(t, err)
		defer c.CloseNow()
		observers = append(observers, c)
	}
	var s seen
	until(t, writer, &s, "hello\n")
	send(t, writer, websocket.MessageBinary, "this\n")
	for _, c := range append(observers, writer) {
		rest := drain(c)
		if c == writer {
			rest.out = append(s.out, rest.out...)
		}
		clean(t, rest, 0)
		require.Equal(t, "hello\ngot this\n", string(rest.out))
	}
}

func TestObserverMayNotWrite(t *testing.T) {
	h := start(t)
	box := h.box()
	e := h.exec(box, map[string]any{"command": "cat"})
	c, _, err := h.dial(box, e, "?stdin=0")
	require.NoError(t, err)
	defer c.CloseNow()
	send(t, c, websocket.MessageText, `{"type":"stdin_eof"}`)
	kind, p, err := c.Read(context.Background())
	require.NoError(t, err)
	require.Equal(t, websocket.MessageText, kind)
	require.JSONEq(t, `{"type":"error","code":"read_only_attach","message":"invalid argument: this attachment is read-only"}`, string(p))
	send(t, c, websocket.MessageBinary, "x")
	s := drain(c)
	require.Equal(t, websocket.StatusPolicyViolation, s.closed)
	require.Nil(t, s.exit)
	require.Equal(t, "running", h.info(box, e).Status)
}

func TestStdin(t *testing.T) {
	h := start(t)
	box := h.box()
	var all []byte
	for i := range 100_000 {
		all = append(all, byte(i), byte(i>>8))
	}
	c := h.attach(box, h.exec(box, map[string]any{"command": "cat"}))
	go func() {
		for part := range slices.Chunk(all, 1777) {
			_ = c.Write(context.Background(), websocket.MessageBinary, part)
		}
		_ = c.Write(context.Background(), websocket.MessageText, []byte(`{"type":"stdin_eof"}`))
		_ = c.Write(context.Background(), websocket.MessageText, []byte(`{"type":"stdin_eof"}`))
	}()
	s := drain(c)
	clean(t, s, 0)
	require.True(t, bytes.Equal(all, s.out))
}

func TestStdinOfTerminalEnds(t *testing.T) {
	h := start(t)
	box := h.box()
	c := h.attach(box, h.exec(box, map[string]any{"command": "cat", "tty": true}))
	var s seen
	send(t, c, websocket.MessageBinary, "line\n")
	until(t, c, &s, "line\r\nline\r\n") // the echo and cat's
	send(t, c, websocket.MessageText, `{"type":"stdin_eof"}`)
	clean(t, drain(c), 0)
}

func TestControlFramesThatFail(t *testing.T) {
	h := start(t)
	box := h.box()
	e := h.exec(box, sh("cat >/dev/null; sleep 60"))
	c := h.attach(box, e)
	for _, f := range []struct {
		kind        websocket.MessageType
		frame, want string
	}{
		{websocket.MessageText, `{`, "bad control frame"},
		{websocket.MessageText, `{"type":"dance"}`, `unknown control frame "dance"`},
		{websocket.MessageText, `{"type":"signal","sig":9}`, "signal 9 is not allowed"},
		{websocket.MessageText, `{"type":"resize","cols":80,"rows":24}`, "no terminal"},
		{websocket.MessageText, `{"type":"resize","cols":-80,"rows":24}`, "bad control frame"},
	} {
		send(t, c, f.kind, f.frame)
		_, p, err := c.Read(context.Background())
		require.NoError(t, err)
		require.Contains(t, string(p), `"type":"error"`)
		var s seen
		s.take(websocket.MessageText, p)
		require.Contains(t, s.errors[0], f.want)
	}
	send(t, c, websocket.MessageText, `{"type":"stdin_eof"}`)
	send(t, c, websocket.MessageBinary, "late")
	_, p, err := c.Read(context.Background())
	require.NoError(t, err)
	require.Contains(t, string(p), "stdin write failed: stdin is closed")
	send(t, c, websocket.MessageText, `{"type":"signal","sig":15}`)
	clean(t, drain(c), 143)
}

// A command that does not read its input holds up neither signals nor the kill.
func TestBlockedStdinBlocksNothingElse(t *testing.T) {
	h := start(t)
	box := h.box()
	e := h.exec(box, sh("trap 'echo usr1' USR1; echo ready; while :; do sleep 0.02; done"))
	c := h.attach(box, e)
	go func() {
		for range 64 {
			if c.Write(context.Background(), websocket.MessageBinary, make([]byte, 128<<10)) != nil {
				return
			}
		}
	}()
	var s seen
	until(t, c, &s, "ready\n")
	status, _ := h.call("POST", execPath(box, e)+"/signal", map[string]int{"signal": 10})
	require.Equal(t, http.StatusNoContent, status)
	until(t, c, &s, "usr1\n")
	status, _ = h.call("DELETE", execPath(box, e), nil)
	require.Equal(t, http.StatusNoContent, status)
	s = drain(c)
	s.errors = nil // the input that was waiting may be reported as not taken
	clean(t, s, 137)
}

// A reader that stops reading stalls nobody, not even the command it is attached to.
func TestSlowReaderStallsNobody(t *testing.T) {
	h := start(t)
	box, other := h.box(), h.box()
	e := h.exec(box, sh("head -c 64000000 /dev/zero; echo end"))
	c := h.attach(box, e)
	for _, b := range []string{box, other} {
		s := h.run(b, sh("echo quick"))
		clean(t, s, 0)
		require.Equal(t, "quick\n", string(s.out))
	}
	require.Equal(t, 0, h.ended(box, e))
	s := drain(c) // it was too slow for all of it, but gets the end
	clean(t, s, 0)
	require.True(t, bytes.HasSuffix(s.out, []byte("end\n")))
}

// What holds the pipes open after the command itself has ended does not hold up its exit.
func TestGrandchildDoesNotHoldUpTheExit(t *testing.T) {
	h := start(t)
	box := h.box()
	for _, tty := range []bool{false, true} {
		body := sh("echo out; echo err >&2; setsid sleep 60 & exit 9")
		body["tty"] = tty
		s := h.run(box, body)
		clean(t, s, 9)
		require.Equal(t, "out\nerr\n", strings.ReplaceAll(string(s.out)+string(s.err), "\r", ""))
	}
	// Nor does one that never stops writing.
	clean(t, h.run(box, sh("setsid cat /dev/zero & exit 9")), 9)
}

func TestServerPingsAtOnce(t *testing.T) {
	h := start(t)
	box := h.box()
	e := h.exec(box, map[string]any{"command": "sleep", "args": []string{"60"}})
	pinged := make(chan struct{}, 10)
	c, _, err := websocket.Dial(context.Background(), "ws://"+h.addr+execPath(box, e)+"/attach", &websocket.DialOptions{
		HTTPHeader:     http.Header{"Authorization": {"Bearer " + runnerToken}},
		OnPingReceived: func(context.Context, []byte) bool { pinged <- struct{}{}; return true },
	})
	require.NoError(t, err)
	defer c.CloseNow()
	go func() { _, _, _ = c.Read(context.Background()) }()
	receive(t, pinged)
}

func TestStopAndDestroyEndAttachedExecs(t *testing.T) {
	for _, kind := range []string{"STOP_BOX", "DESTROY_BOX"} {
		t.Run(kind, func(t *testing.T) {
			h := start(t)
			box := h.box()
			e := h.exec(box, sh("echo up; trap '' TERM; sleep 60"))
			c := h.attach(box, e)
			var s seen
			until(t, c, &s, "up\n")
			h.mustJob(kind, box)
			clean(t, drain(c), 137)
			if kind == "STOP_BOX" {
				require.Equal(t, 137, h.ended(box, e))
			} else {
				status, _ := h.call("GET", execPath(box, e), nil)
				require.Equal(t, http.StatusNotFound, status)
			}
		})
	}
}
