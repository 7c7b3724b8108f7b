package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"syscall"
	"time"

	"github.com/coder/websocket"
)

// signals a caller may send; 9 only by DELETE.
var signals = []int{1, 2, 3, 6, 10, 12, 15, 28}

// serveHere answers a request for an execution of this process; false when there is none such.
func (s *Server) serveHere(w http.ResponseWriter, r *http.Request, row record, rest []string) bool {
	if len(rest) < 2 {
		return false
	}
	e := s.local.get(rest[1], row.id)
	if e == nil {
		return false
	}
	switch r.Method + " " + shape(rest) {
	case "GET executions/*":
		writeJSON(w, http.StatusOK, e.info())
	case "DELETE executions/*":
		s.local.drop(e.id)
		e.kill()
		w.WriteHeader(http.StatusNoContent)
	case "POST executions/*/signal":
		e.signalHTTP(w, r)
	case "POST executions/*/resize":
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid argument: execution has no TTY"})
	case "GET executions/*/attach":
		e.attach(s.ctx, w, r)
	}
	return true
}

func (e *localExec) signalHTTP(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Signal int `json:"signal"`
	}
	if readJSON(r, &q) != nil || !slices.Contains(signals, q.Signal) {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid argument: unsupported signal"})
		return
	}
	if err := e.signal(syscall.Signal(q.Signal)); err != nil {
		writeJSON(w, http.StatusConflict, map[string]string{"error": "invalid state: " + err.Error()})
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// claim takes the one attach slot of e.
func (e *localExec) claim() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.attached {
		return false
	}
	e.attached = true
	return true
}

func (e *localExec) unclaim() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.attached = false
}

// attach replays the output, follows it to the exit and ends with the closing handshake.
func (e *localExec) attach(stop context.Context, w http.ResponseWriter, r *http.Request) {
	if !e.claim() {
		writeJSON(w, http.StatusConflict, map[string]string{"error": "execution " + e.id + " already attached"})
		return
	}
	defer e.unclaim()
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // Accept has answered
	}
	defer c.CloseNow()
	c.SetReadLimit(1 << 20)
	ctx, cancel := context.WithCancel(stop)
	defer cancel()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		e.readClient(ctx, c)
	}()
	go func() { _ = c.Ping(ctx) }() // a first frame early: clients give up on a silent socket
	if e.writeClient(ctx, c, gone) == nil {
		_ = c.Close(websocket.StatusNormalClosure, "")
	}
	_ = c.CloseNow()
	<-gone
}

func (e *localExec) writeClient(ctx context.Context, c *websocket.Conn, gone <-chan struct{}) error {
	for next := 0; ; {
		e.mu.Lock()
		fresh, exited, code, grown := e.chunks[next:], e.exited, e.code, e.grown
		e.mu.Unlock()
		next += len(fresh)
		for _, b := range fresh {
			if err := c.Write(ctx, websocket.MessageBinary, b); err != nil {
				return err //nolint:wrapcheck // only looked at for nil
			}
		}
		if exited {
			msg, err := json.Marshal(map[string]any{"type": "exit", "exit_code": code})
			if err != nil {
				return err //nolint:wrapcheck // only looked at for nil
			}
			return c.Write(ctx, websocket.MessageText, msg) //nolint:wrapcheck // only looked at for nil
		}
		select {
		case <-grown:
		case <-gone:
			return errors.New("client is gone")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// readClient passes standard input and control frames on until the client is gone.
func (e *localExec) readClient(ctx context.Context, c *websocket.Conn) {
	for {
		kind, data, err := c.Read(ctx)
		if err != nil {
			return
		}
		if kind == websocket.MessageBinary {
			_, err = e.stdin.Write(data)
		} else {
			err = e.control(data)
		}
		if err != nil {
			e.complain(ctx, c, err)
		}
	}
}

func (e *localExec) control(data []byte) error {
	var m struct {
		Type string `json:"type"`
		Sig  int    `json:"sig"`
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return errors.New("frame is not JSON")
	}
	switch {
	case m.Type == "stdin_eof":
		return e.stdin.Close() //nolint:wrapcheck // shown to the caller
	case m.Type == "signal" && slices.Contains(signals, m.Sig):
		return e.signal(syscall.Signal(m.Sig))
	case m.Type == "signal":
		return errors.New("unsupported signal")
	case m.Type == "resize":
		return errors.New("execution has no TTY")
	}
	return errors.New("unknown frame type")
}

func (e *localExec) complain(ctx context.Context, c *websocket.Conn, err error) {
	msg, merr := json.Marshal(map[string]string{"type": "error", "message": err.Error()})
	if merr != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	_ = c.Write(ctx, websocket.MessageText, msg) // the reader notices when the client is gone
}
