package stack_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"chaos/model"
	"chaos/stack"
)

var ticks atomic.Int64

// clock counts, so that the order of frames shows in their times.
func clock() int64 { return ticks.Add(1) }

// session is a server whose attach sessions are run by serve.
func session(t *testing.T, serve func(ctx context.Context, c *websocket.Conn)) *recorder {
	return record(t, func(w http.ResponseWriter, q *http.Request) {
		c, err := websocket.Accept(w, q, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		serve(ctx, c)
	})
}

func binary(ctx context.Context, c *websocket.Conn, channel byte, data string) {
	_ = c.Write(ctx, websocket.MessageBinary, append([]byte{channel}, data...))
}

func text(ctx context.Context, c *websocket.Conn, msg string) {
	_ = c.Write(ctx, websocket.MessageText, []byte(msg))
}

func attachTo(t *testing.T, s *recorder, opt stack.AttachOptions) (*model.Attach, stack.Response) {
	opt.Now = clock
	a, res, err := newClient(t, stack.Endpoint{URL: s.URL, Key: key}).Attach(t.Context(), "box-1", "exec-1", opt)
	require.NoError(t, err)
	return a, res
}

func TestAttach_ReadsEveryKindOfFrame(t *testing.T) {
	s := session(t, func(ctx context.Context, c *websocket.Conn) {
		binary(ctx, c, 1, "out\x00\xff")
		binary(ctx, c, 2, "err")
		binary(ctx, c, 7, "who knows")
		binary(ctx, c, 1, "")
		_ = c.Write(ctx, websocket.MessageBinary, nil)
		text(ctx, c, `{"type":"error","message":"bad JSON"}`)
		text(ctx, c, `{"type":"news","message":"x"}`)
		text(ctx, c, `no JSON`)
		text(ctx, c, `{"type":"exit","exit_code":0}`)
		text(ctx, c, `{"type":"exit","exit_code":137}`)
		text(ctx, c, `{"type":"exit"}`)
		_ = c.Close(websocket.StatusNormalClosure, "")
	})
	a, res := attachTo(t, s, stack.AttachOptions{})
	require.Equal(t, 101, res.Status)
	require.Equal(t, 1, res.Conns)
	require.Equal(t, 1000, a.Close)
	require.False(t, a.Cut || a.TimedOut || a.ReadOnly)
	want := []model.Frame{
		{Kind: model.FrameOut, Data: []byte("out\x00\xff")},
		{Kind: model.FrameErr, Data: []byte("err")},
		{Kind: model.FrameOther, Data: []byte("\x07who knows")},
		{Kind: model.FrameOut, Data: []byte{}},
		{Kind: model.FrameOther, Data: []byte{}},
		{Kind: model.FrameError, Data: []byte("bad JSON")},
		{Kind: model.FrameOther, Data: []byte(`{"type":"news","message":"x"}`)},
		{Kind: model.FrameOther, Data: []byte("no JSON")},
		{Kind: model.FrameExit, Exit: 0},
		{Kind: model.FrameExit, Exit: 137},
		{Kind: model.FrameExit, Exit: -1},
	}
	require.Len(t, a.Frames, len(want))
	last := int64(0)
	for i, f := range a.Frames {
		require.Greater(t, f.At, last, "frame %d", i)
		last = f.At
		want[i].At = f.At
	}
	require.Equal(t, want, a.Frames)
	require.Equal(t, "out\x00\xff", string(a.Bytes(model.Out)))
	require.Equal(t, "err", string(a.Bytes(model.Err)))
	got := s.requests()
	require.Len(t, got, 1)
	require.Equal(t, seen{"GET", "/v1/boxes/box-1/executions/exec-1/attach", "Bearer " + key, "", ""}, got[0])
}

func TestAttach_ReadOnlyAndPrefixShowInTheRequest(t *testing.T) {
	s := session(t, func(_ context.Context, c *websocket.Conn) { _ = c.Close(websocket.StatusNormalClosure, "") })
	a, _, err := newClient(t, stack.Endpoint{URL: s.URL + "/api", Prefix: "org"}).Attach(t.Context(), "b", "e", stack.AttachOptions{ReadOnly: true, Now: clock})
	require.NoError(t, err)
	require.True(t, a.ReadOnly)
	require.Equal(t, []seen{{"GET", "/api/v1/org/boxes/b/executions/e/attach?stdin=0", "", "", ""}}, s.requests())
}

func TestAttach_ARefusedHandshakeGivesStatusAndBody(t *testing.T) {
	for code, body := range map[int]string{
		401: "",
		404: `{"error":"execution not found: e"}`,
		409: `{"error":"execution e already attached"}`,
		410: `{"error":"session reaped: e"}`,
		500: `{"error":"` + strings.Repeat("x", 900) + `"}`,
		200: "not a WebSocket",
		302: "",
	} {
		s := record(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/v1/elsewhere")
			status(code, body)(w, nil)
		})
		a, res := attachTo(t, s, stack.AttachOptions{})
		require.Nil(t, a)
		require.Equal(t, code, res.Status)
		require.Equal(t, body, string(res.Body))
		require.Equal(t, 1, res.Conns)
		require.Len(t, s.requests(), 1)
	}
}

func TestAttach_AnUpgradeThatIsNoneIsNoAnswer(t *testing.T) {
	s := record(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: wrong\r\n\r\n")
			_ = rw.Flush()
			_ = conn.Close()
		}
	})
	a, res, err := newClient(t, stack.Endpoint{URL: s.URL, Key: key}).Attach(t.Context(), "b", "e", stack.AttachOptions{Now: clock})
	require.Error(t, err)
	require.Nil(t, a)
	require.Zero(t, res.Status)
}

func TestAttach_CutAfterDropsTheConnection(t *testing.T) {
	dropped := make(chan error, 1)
	s := session(t, func(ctx context.Context, c *websocket.Conn) {
		text(ctx, c, `{"type":"error","message":"does not count"}`)
		for range 5 {
			binary(ctx, c, 1, "a")
			binary(ctx, c, 2, "b")
		}
		_, _, err := c.Read(ctx)
		dropped <- err
	})
	a, _ := attachTo(t, s, stack.AttachOptions{CutAfter: 3})
	require.True(t, a.Cut)
	require.False(t, a.TimedOut)
	require.Zero(t, a.Close)
	require.Equal(t, "aa", string(a.Bytes(model.Out)))
	require.Equal(t, "b", string(a.Bytes(model.Err)))
	err := <-dropped
	require.Error(t, err)
	require.EqualValues(t, -1, websocket.CloseStatus(err), "cut, not closed: the server gets no close frame")
}

func TestAttach_CutAfterMoreThanThereIsReadsToTheEnd(t *testing.T) {
	s := session(t, func(ctx context.Context, c *websocket.Conn) {
		binary(ctx, c, 1, "all")
		text(ctx, c, `{"type":"exit","exit_code":3}`)
		_ = c.Close(websocket.StatusNormalClosure, "")
	})
	a, _ := attachTo(t, s, stack.AttachOptions{CutAfter: 2})
	require.False(t, a.Cut)
	exit, ok := a.Exit()
	require.True(t, ok)
	require.Equal(t, 3, exit.Exit)
}

func TestAttach_HowTheSessionEndedShows(t *testing.T) {
	for code, end := range map[int]func(c *websocket.Conn){
		1000: func(c *websocket.Conn) { _ = c.Close(websocket.StatusNormalClosure, "") },
		1001: func(c *websocket.Conn) { _ = c.Close(websocket.StatusGoingAway, "going") },
		1008: func(c *websocket.Conn) { _ = c.Close(websocket.StatusPolicyViolation, "no") },
		1011: func(c *websocket.Conn) { _ = c.Close(websocket.StatusInternalError, "pump drain timed out") },
		0:    func(c *websocket.Conn) { _ = c.CloseNow() },
	} {
		s := session(t, func(ctx context.Context, c *websocket.Conn) { binary(ctx, c, 1, "x"); end(c) })
		a, _ := attachTo(t, s, stack.AttachOptions{})
		require.Equal(t, code, a.Close)
		require.False(t, a.TimedOut || a.Cut, "code %d", code)
		require.Equal(t, "x", string(a.Bytes(model.Out)))
		_, exited := a.Exit()
		require.False(t, exited)
	}
}

func TestAttach_TimeOutKeepsWhatCame(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := session(t, func(sctx context.Context, c *websocket.Conn) {
		binary(sctx, c, 1, "so far")
		_, _, _ = c.Read(sctx) // until the client goes
	})
	frames := make(chan struct{})
	calls := 0
	now := func() int64 { // called for the session and for its one frame
		if calls++; calls == 2 {
			close(frames)
		}
		return int64(calls)
	}
	go func() { <-frames; cancel() }()
	a, res, err := newClient(t, stack.Endpoint{URL: s.URL}).Attach(ctx, "b", "e", stack.AttachOptions{Now: now})
	require.NoError(t, err)
	require.Equal(t, 101, res.Status)
	require.True(t, a.TimedOut)
	require.False(t, a.Cut)
	require.Zero(t, a.Close)
	require.Equal(t, "so far", string(a.Bytes(model.Out)))
}

func TestAttach_NoAnswerToTheHandshakeIsAnError(t *testing.T) {
	s := record(t, hangUp)
	a, _, err := newClient(t, stack.Endpoint{URL: s.URL, Key: key}).Attach(t.Context(), "b", "e", stack.AttachOptions{Now: clock})
	require.ErrorContains(t, err, "attach: ")
	require.Nil(t, a)
	require.Len(t, s.requests(), 1)

	waiting := make(chan struct{})
	slow := record(t, func(_ http.ResponseWriter, q *http.Request) { close(waiting); <-q.Context().Done() })
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-waiting; cancel() }()
	a, _, err = newClient(t, stack.Endpoint{URL: slow.URL, Key: key}).Attach(ctx, "b", "e", stack.AttachOptions{Now: clock})
	require.ErrorIs(t, err, context.Canceled)
	require.Nil(t, a)
}

// TestAttach_TakesTheBacklogInOneFrame sends what a runner sends to those who attach late: up to
// 256 KiB and a byte at once, eight times the limit that the library has by itself.
func TestAttach_TakesTheBacklogInOneFrame(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 256<<10/16)
	s := session(t, func(ctx context.Context, c *websocket.Conn) {
		binary(ctx, c, 1, string(big))
		w, err := c.Writer(ctx, websocket.MessageBinary) // the same in pieces
		if err != nil {
			return
		}
		_, _ = w.Write([]byte{2})
		for p := big; len(p) > 0; p = p[min(len(p), 5000):] {
			_, _ = w.Write(p[:min(len(p), 5000)])
		}
		_ = w.Close()
		text(ctx, c, `{"type":"exit","exit_code":0}`)
		_ = c.Close(websocket.StatusNormalClosure, "")
	})
	a, _ := attachTo(t, s, stack.AttachOptions{})
	require.Len(t, a.Frames, 3)
	require.True(t, bytes.Equal(big, a.Frames[0].Data))
	require.True(t, bytes.Equal(big, a.Frames[1].Data))
	require.Equal(t, model.FrameErr, a.Frames[1].Kind)
}

// TestAttach_LeavesTheClientUsable makes sure that sessions, cut or not, take nothing from later calls.
func TestAttach_LeavesTheClientUsable(t *testing.T) {
	s := record(t, func(w http.ResponseWriter, q *http.Request) {
		if !strings.HasSuffix(q.URL.Path, "/attach") {
			_, _ = io.WriteString(w, "{}")
			return
		}
		c, err := websocket.Accept(w, q, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		binary(context.Background(), c, 1, "x")
		_, _, _ = c.Read(context.Background())
	})
	c := newClient(t, stack.Endpoint{URL: s.URL})
	for range 20 {
		_, _, err := c.Attach(t.Context(), "b", "e", stack.AttachOptions{CutAfter: 1, Now: clock})
		require.NoError(t, err)
		res, err := c.Do(t.Context(), stack.Request{Method: "GET", Path: "/boxes"})
		require.NoError(t, err)
		require.Equal(t, 1, res.Conns)
	}
}
