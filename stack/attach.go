package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"chaos/model"
)

// AttachOptions say how to attach.
type AttachOptions struct {
	ReadOnly bool          // ?stdin=0
	CutAfter int           // drop the connection after this many frames with output; 0 = never
	Slow     time.Duration // read nothing for this long, and leave the kernel little room to read for us
	Now      func() int64  // clock of the history, nanoseconds
	// Input is asked, once the session is open, for what to send before the end of the input is sent.
	// nil sends neither.
	Input func() []byte
	Knock bool // only ask: drop the connection as soon as the session is open
	// Authorization is that whole header, instead of the endpoint's key; "" sends none.
	Authorization *string
}

// Attach opens the attach session of an execution and reads it to its end: until the server
// closes it, ctx ends, or CutAfter frames came. A refused handshake gives its status and body and
// no session. An error means that the handshake had no answer at all.
func (c *Client) Attach(ctx context.Context, box, exec string, opt AttachOptions) (*model.Attach, Response, error) {
	if c.gate == nil {
		return c.attach(ctx, box, exec, opt)
	}
	req := Request{Method: Attaching, Path: BoxPath(box, "executions", exec, "attach")}
	if err := c.gate.Before(&req); err != nil {
		return nil, Response{}, fmt.Errorf("attach: %w", err)
	}
	a, res, err := c.attach(ctx, box, exec, opt)
	n := len(res.Body)
	if a != nil {
		for _, f := range a.Frames {
			n += len(f.Data)
		}
	}
	c.gate.Received(n)
	c.gate.After(req, res, err)
	return a, res, err
}

func (c *Client) attach(ctx context.Context, box, exec string, opt AttachOptions) (*model.Attach, Response, error) {
	u := "ws" + strings.TrimPrefix(c.url(BoxPath(box, "executions", exec, "attach")), "http")
	if opt.ReadOnly {
		u += "?stdin=0"
	}
	header := http.Header{}
	if auth := c.authorization(Request{Authorization: opt.Authorization}); auth != "" {
		header.Set("Authorization", auth)
	}
	if c.tag != "" {
		header.Set(TagHeader, c.tag)
	}
	// A handshake is a GET, which the transport sends again when a kept connection turns out dead, and a
	// repeat may find its own first try attached: so it gets a connection of its own.
	var conns atomic.Int32
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { conns.Add(1) }})
	hc, wake := c.fresh, func() {}
	if opt.Slow > 0 {
		hc, wake = lazyHTTP()
		defer hc.CloseIdleConnections()
	}
	conn, res, err := websocket.Dial(traced, u, &websocket.DialOptions{HTTPClient: hc, HTTPHeader: header, CompressionMode: websocket.CompressionDisabled})
	out := Response{Conns: int(conns.Load())}
	if err != nil {
		if res == nil || res.StatusCode == http.StatusSwitchingProtocols {
			// An upgrade that is none leaves nothing to read, so it says no more than silence does.
			return nil, out, fmt.Errorf("attach: %w", err)
		}
		// The library hands out at most the first kilobyte of a refusal, which is all we keep anyway.
		body := make([]byte, model.MaxBody)
		n := 0
		if res.Body != nil {
			n, _ = res.Body.Read(body)
		}
		out.Status, out.Body = res.StatusCode, body[:n]
		return nil, out, nil
	}
	defer conn.CloseNow()
	// The backlog comes as one frame of up to 256 KiB and a byte.
	conn.SetReadLimit(-1)
	out.Status = res.StatusCode
	if opt.Knock {
		return &model.Attach{ReadOnly: opt.ReadOnly, Frames: []model.Frame{}, Cut: true}, out, nil
	}
	a := &model.Attach{ReadOnly: opt.ReadOnly, Slow: opt.Slow, Opened: opt.Now(), Frames: []model.Frame{}}
	read := func() {
		if a.TimedOut = !pause(ctx, opt.Slow); !a.TimedOut {
			wake()
			readSession(ctx, conn, opt, a)
		}
	}
	if opt.Input == nil {
		read()
		return a, out, nil
	}
	sending, stop := context.WithCancel(ctx)
	sent := make(chan input, 1)
	go func() { sent <- sendInput(sending, conn, opt.Input(), opt.Now) }()
	read()
	stop() // also hangs up on a server that takes no more input
	in := <-sent
	a.Sent, a.EOF = in.bytes, in.eof
	return a, out, nil
}

// readSession reads the session to its end into a.
func readSession(ctx context.Context, conn *websocket.Conn, opt AttachOptions, a *model.Attach) {
	data := 0
	for {
		kind, msg, err := conn.Read(ctx)
		if err != nil {
			// A session that the server closed is over, even if our time ran out at that moment.
			var ce websocket.CloseError
			if errors.As(err, &ce) {
				a.Close = int(ce.Code)
			} else {
				a.TimedOut = ctx.Err() != nil
			}
			return
		}
		f := parseFrame(kind, msg)
		f.At = opt.Now()
		a.Frames = append(a.Frames, f)
		if f.Kind == model.FrameOut || f.Kind == model.FrameErr {
			data++
		}
		if opt.CutAfter > 0 && data >= opt.CutAfter {
			a.Cut = true
			return
		}
	}
}

// parseFrame reads a server message: binary with a channel byte, or JSON text with a type.
func parseFrame(kind websocket.MessageType, msg []byte) model.Frame {
	if kind == websocket.MessageBinary {
		if len(msg) > 0 && msg[0] == 1 {
			return model.Frame{Kind: model.FrameOut, Data: msg[1:]}
		}
		if len(msg) > 0 && msg[0] == 2 {
			return model.Frame{Kind: model.FrameErr, Data: msg[1:]}
		}
		return model.Frame{Kind: model.FrameOther, Data: msg}
	}
	var text struct {
		Type     string `json:"type"`
		ExitCode *int   `json:"exit_code"`
		Message  string `json:"message"`
	}
	if json.Unmarshal(msg, &text) != nil {
		return model.Frame{Kind: model.FrameOther, Data: msg}
	}
	switch {
	case text.Type == "exit" && text.ExitCode != nil:
		return model.Frame{Kind: model.FrameExit, Exit: *text.ExitCode}
	case text.Type == "exit":
		return model.Frame{Kind: model.FrameExit, Exit: -1} // as the published client reads it
	case text.Type == "error":
		return model.Frame{Kind: model.FrameError, Data: []byte(text.Message)}
	}
	return model.Frame{Kind: model.FrameOther, Data: msg}
}
