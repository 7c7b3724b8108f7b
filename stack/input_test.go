package stack_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"chaos/stack"
)

// frames reads what the client sends until the end of the input.
func frames(ctx context.Context, c *websocket.Conn) (data string, n int, end string) {
	for {
		kind, p, err := c.Read(ctx)
		if err != nil {
			return data, n, "nothing"
		}
		if kind == websocket.MessageText {
			return data, n, string(p)
		}
		data, n = data+string(p), n+1
	}
}

func TestAttach_SendsInputInFramesAndThenItsEnd(t *testing.T) {
	want := strings.Repeat("0123456789", 2000)
	s := session(t, func(ctx context.Context, c *websocket.Conn) {
		binary(ctx, c, 1, "output flows meanwhile")
		data, n, end := frames(ctx, c)
		if n > 5 && end == `{"type":"stdin_eof"}` {
			binary(ctx, c, 1, data)
		}
		text(ctx, c, `{"type":"exit","exit_code":0}`)
		_ = c.Close(websocket.StatusNormalClosure, "")
	})
	var asked atomic.Int32
	a, _ := attachTo(t, s, stack.AttachOptions{Input: func() []byte { asked.Add(1); return []byte(want) }})
	require.Len(t, a.Frames, 3)
	require.True(t, want == string(a.Frames[1].Data))
	require.Equal(t, len(want), a.Sent)
	require.Greater(t, a.EOF, a.Opened)
	require.Positive(t, a.Opened)
	require.True(t, a.EndedInput())
	require.EqualValues(t, 1, asked.Load())
}

func TestAttach_WithoutInputNothingIsSent(t *testing.T) {
	for _, end := range []bool{false, true} {
		s := session(t, func(ctx context.Context, c *websocket.Conn) {
			if end { // one that has nothing to send still tells so
				_, _, got := frames(ctx, c)
				text(ctx, c, got)
			}
			_ = c.Close(websocket.StatusNormalClosure, "")
		})
		opt := stack.AttachOptions{}
		if end {
			opt.Input = func() []byte { return nil }
		}
		a, _ := attachTo(t, s, opt)
		require.Zero(t, a.Sent)
		require.Equal(t, end, a.EOF != 0)
		if end {
			require.Equal(t, `{"type":"stdin_eof"}`, string(a.Frames[0].Data))
		}
	}
}

func TestAttach_ARefusedSessionAsksForNoInput(t *testing.T) {
	s := record(t, status(409, `{"error":"execution e already attached"}`))
	a, res := attachTo(t, s, stack.AttachOptions{Input: func() []byte { t.Error("asked for input"); return nil }})
	require.Nil(t, a)
	require.Equal(t, 409, res.Status)
}

// TestAttach_InputThatNobodyTakesEndsWithTheSession: the server reads nothing and goes, or the caller cuts.
func TestAttach_InputThatNobodyTakesEndsWithTheSession(t *testing.T) {
	for _, cut := range []int{0, 1} {
		s := session(t, func(ctx context.Context, c *websocket.Conn) {
			binary(ctx, c, 1, "x")
			if cut > 0 {
				for _, _, err := c.Reader(ctx); err == nil; _, _, err = c.Reader(ctx) {
				}
				return
			}
			_ = c.CloseNow()
		})
		a, _ := attachTo(t, s, stack.AttachOptions{CutAfter: cut, Input: func() []byte { return make([]byte, 64<<20) }})
		require.Equal(t, cut > 0, a.Cut)
		require.Less(t, a.Sent, 64<<20)
		require.Zero(t, a.EOF)
		require.False(t, a.EndedInput())
	}
}

// TestAttach_ASlowReaderIsFelt: the server cannot get rid of what the client does not read, and gets rid
// of all of it once it does.
func TestAttach_ASlowReaderIsFelt(t *testing.T) {
	const chunk, chunks = 64 << 10, 512 // 32 MiB
	blocked := make(chan struct{})
	var sent atomic.Int64
	s := session(t, func(ctx context.Context, c *websocket.Conn) {
		part := strings.Repeat("x", chunk)
		for range chunks {
			// No write may wait for half a second while the client reads.
			stall := time.AfterFunc(500*time.Millisecond, func() {
				select {
				case <-blocked:
				default:
					close(blocked)
				}
			})
			binary(ctx, c, 1, part)
			stall.Stop()
			sent.Add(1)
		}
		_ = c.Close(websocket.StatusNormalClosure, "")
	})
	a, _ := attachTo(t, s, stack.AttachOptions{Slow: 2 * time.Second})
	select {
	case <-blocked:
	default:
		t.Fatal("the server was never held up")
	}
	require.Equal(t, 2*time.Second, a.Slow)
	require.EqualValues(t, chunks, sent.Load())
	require.Len(t, a.Bytes('o'), chunk*chunks)
	require.Equal(t, 1000, a.Close)
}

func TestAttach_ASlowReaderStopsWaitingWhenItsTimeIsUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := session(t, func(sctx context.Context, c *websocket.Conn) {
		binary(sctx, c, 1, "unread")
		cancel()
		_, _, _ = c.Read(sctx)
	})
	a, _, err := newClient(t, stack.Endpoint{URL: s.URL}).Attach(ctx, "b", "e", stack.AttachOptions{Slow: time.Hour, Now: clock})
	if err != nil {
		require.ErrorIs(t, err, context.Canceled) // before the handshake was answered
		return
	}
	require.True(t, a.TimedOut)
	require.Empty(t, a.Frames)
}
