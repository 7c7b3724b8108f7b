package runner

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"syscall"

	"github.com/coder/websocket"
)

var errReadOnly = errors.New("invalid argument: this attachment is read-only")

// control is a text frame of the caller.
type control struct {
	Type string `json:"type"`
	Sig  int    `json:"sig"`
	size
}

// read takes what the caller sends until the connection ends.
func (s *session) read(ctx context.Context) {
	for {
		// No deadline and no cancellation here: either would end the connection both ways.
		kind, p, err := s.conn.Read(context.Background())
		if err != nil {
			s.vanished = errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)
			return
		}
		s.alive()
		switch {
		case kind == websocket.MessageText:
			err = s.control(ctx, p)
		case s.readOnly:
			s.complain(ctx, errReadOnly)
			s.closing.Store(true)
			_ = s.conn.Close(websocket.StatusPolicyViolation, "read-only attachment")
			return
		default:
			err = s.input(ctx, p)
		}
		if err != nil {
			s.complain(ctx, err)
		}
	}
}

func (s *session) input(ctx context.Context, p []byte) error {
	s.busy.Store(true)
	defer s.busy.Store(false)
	s.e.box.received.Add(int64(len(p)))
	return s.e.in.write(ctx, p)
}

func (s *session) control(ctx context.Context, p []byte) error {
	var c control
	if err := json.Unmarshal(p, &c); err != nil {
		return invalidArgument("bad control frame: %v", err)
	}
	if s.readOnly {
		return errReadOnly
	}
	switch c.Type {
	case "stdin_eof":
		s.busy.Store(true)
		defer s.busy.Store(false)
		return s.e.in.close(ctx)
	case "signal":
		sig, err := allowedSignal(c.Sig)
		if err != nil {
			return err
		}
		return s.e.signal(sig)
	case "resize":
		rows, cols, err := c.check()
		if err != nil {
			return err
		}
		return s.e.resize(rows, cols)
	}
	return invalidArgument("unknown control frame %q", c.Type)
}
