package runner

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/zap"

	"chaos/stack/embedded/bugs"
)

const (
	// frameLimit is the size of a message a caller may send, in bytes.
	frameLimit = 1 << 20
	// writeTimeout is how long a caller may take to accept a frame.
	writeTimeout = 20 * time.Second
	// goodbyeTimeout is how long a caller may take to answer our Close once the runner ends.
	goodbyeTimeout = time.Second
	// shortestBye is how long any caller may take to answer our Close.
	shortestBye = 500 * time.Millisecond
)

// session is one attached caller.
type session struct {
	e        *execution
	conn     *websocket.Conn
	readOnly bool
	log      *zap.Logger
	ping     time.Duration
	silence  time.Duration // how long the caller may send nothing at all, not even the answer to a ping
	tcp      net.Conn

	closing  atomic.Bool // our Close has been or is about to be sent
	busy     atomic.Bool // the reader waits for the command to take its input
	vanished bool        // the caller went without a Close; valid once the reader is done

	seen atomic.Int64 // when the caller last gave a sign of life, in Unix nanoseconds
}

// attach serves GET attach. The slot is claimed before the upgrade, so that the loser gets a real
// 409, and given back only when the connection is really over.
func (r *Runner) attach(w http.ResponseWriter, req *http.Request) error {
	e, err := r.lookup(req)
	if err != nil {
		return err
	}
	readOnly, err := readOnlyAttach(req.URL.Query())
	if err != nil {
		return err
	}
	if !strings.EqualFold(req.Header.Get("Upgrade"), "websocket") {
		return invalidArgument("attach is a WebSocket")
	}
	if err := r.beginSession(); err != nil {
		return err
	}
	defer r.attached.Done()
	if err := e.claim(readOnly); err != nil {
		return err
	}
	stuck := false // seeded bug slot-stuck
	defer func() {
		if !stuck {
			e.release(readOnly)
		}
	}()

	live := e.out.tail()
	s := &session{e: e, readOnly: readOnly, log: r.log, ping: r.cfg.ping, silence: r.cfg.silence}
	s.alive()
	conn, err := websocket.Accept(w, req, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // callers are programs with a token, not pages of some origin
		// No pong after our Close: it would fail, and with it the wait for the caller's Close.
		OnPingReceived: func(context.Context, []byte) bool { s.alive(); return !s.closing.Load() },
		OnPongReceived: func(context.Context, []byte) { s.alive() },
	})
	if err != nil {
		return nil // Accept has answered
	}
	s.conn = conn
	s.tcp = req.Context().Value(connKey{}).(net.Conn)
	conn.SetReadLimit(frameLimit)
	if !r.cfg.bugs.Has(bugs.ReplayDup) {
		live = cursor{}
	}
	exited := s.run(r.ctx, live)
	stuck = r.cfg.bugs.Has(bugs.SlotStuck) && exited && s.vanished
	return nil
}

// readOnlyAttach reads the query parameter stdin.
func readOnlyAttach(q url.Values) (bool, error) {
	switch v := q.Get("stdin"); v {
	case "", "1", "true":
		return false, nil
	case "0", "false":
		return true, nil
	default:
		return false, invalidArgument("stdin=%s", v)
	}
}

// claim takes the slot of the execution, which a read-only caller does not need. Nobody can attach
// to an execution that is being killed or reaped.
func (e *execution) claim(readOnly bool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.doomed || e.reap.begun() && !e.finished():
		return e.errClosing()
	case readOnly:
		e.watchers++
	case e.writer:
		return errorf(http.StatusConflict, "execution %s already attached", e.id)
	default:
		e.writer = !e.bugs.Has(bugs.DoubleAttach)
	}
	return nil
}

// occupy takes the slot for double-attach, once the caller has answered a ping.
func (s *session) occupy(ctx context.Context) error {
	if s.readOnly || !s.e.bugs.Has(bugs.DoubleAttach) {
		return nil
	}
	if err := s.conn.Ping(ctx); err != nil {
		return err
	}
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	s.e.writer = true
	return nil
}

func (e *execution) release(readOnly bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if readOnly {
		e.watchers--
	} else {
		e.writer = false
	}
	e.alone = time.Now()
}

// run serves the caller until it goes or the execution ends. It reports whether the exit was sent.
func (s *session) run(shutdown context.Context, live cursor) bool {
	ctx, cancel := context.WithCancel(shutdown)
	defer cancel()
	defer context.AfterFunc(shutdown, func() {
		time.AfterFunc(goodbyeTimeout, func() { _ = s.tcp.Close() })
	})()
	readerDone := make(chan struct{})
	go func() {
		defer close(readerDone)
		defer cancel()
		s.read(ctx)
	}()
	go s.keepAlive(ctx)

	err := s.occupy(ctx)
	if err == nil {
		err = s.write(ctx, live)
	}
	if err == nil {
		s.bye(shutdown, websocket.StatusNormalClosure, "")
	} else if errors.Is(err, errEvicted) {
		s.bye(shutdown, websocket.StatusGoingAway, "")
	} else if shutdown.Err() != nil {
		s.bye(shutdown, websocket.StatusGoingAway, "the runner is shutting down")
	} else {
		_ = s.conn.CloseNow()
	}
	cancel()
	<-readerDone
	return err == nil
}

// bye sends Close and waits up to 5 s for the caller's Close, or for it to hang up, but not for one
// that has been silent too long. Only then may the connection be closed: closing with unread input
// resets it, and a reset destroys what is still on its way to the caller.
func (s *session) bye(ctx context.Context, code websocket.StatusCode, reason string) {
	s.closing.Store(true)
	if c, ok := s.tcp.(*abortConn); ok {
		c.armed.Store(true)
	}
	left := s.silence - time.Since(time.Unix(0, s.seen.Load()))
	hangUp := time.AfterFunc(max(left, shortestBye), func() { _ = s.conn.CloseNow() })
	defer hangUp.Stop()
	if s.e.bugs.Has(bugs.HalfOpenSlot) {
		hangUp.Stop()
		if err := s.conn.Close(code, reason); errors.Is(err, context.DeadlineExceeded) {
			<-ctx.Done() // the caller never said that it is gone
		}
		return
	}
	_ = s.conn.Close(code, reason)
}

// write sends the output, from the oldest byte that is kept, and then the exit.
func (s *session) write(ctx context.Context, live cursor) error {
	var at cursor
	if s.e.bugs.Has(bugs.ReplayDup) {
		// The subscription was made before the upgrade; what came since is in the backlog as well,
		// which is copied once the caller has shown that it reads.
		if err := s.conn.Ping(ctx); err != nil {
			return err
		}
		if frames, _ := s.e.out.next(&at); frames != nil {
			if err := s.sendAll(ctx, frames); err != nil {
				return err
			}
		}
		at = live
	}
	for {
		frames, wake := s.e.out.next(&at)
		if frames == nil && wake == nil {
			break
		}
		if err := s.sendAll(ctx, frames); err != nil {
			return err
		}
		if wake != nil {
			select {
			case <-wake:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	// The output is sealed, the exit follows at once.
	select {
	case <-s.e.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.e.bugs.Has(bugs.NoExitAfterKill) && s.e.seeded.evicted.Load() {
		return errEvicted
	}
	return s.sendText(ctx, map[string]any{"type": "exit", "exit_code": s.e.exitCode()})
}

func (s *session) sendAll(ctx context.Context, frames [][]byte) error {
	if s.e.bugs.Has(bugs.SlowReaderStall) {
		s.e.box.fanout.Lock()
		defer s.e.box.fanout.Unlock()
	}
	for _, f := range frames {
		if err := s.send(ctx, websocket.MessageBinary, f); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) send(ctx context.Context, kind websocket.MessageType, p []byte) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return s.conn.Write(ctx, kind, p)
}

func (s *session) sendText(ctx context.Context, v any) error {
	p, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.send(ctx, websocket.MessageText, p)
}

// complain tells the caller about something it did that had no effect. The connection stays.
func (s *session) complain(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return // the caller has gone
	}
	frame := map[string]any{"type": "error", "message": err.Error()}
	if errors.Is(err, errReadOnly) {
		frame["code"] = "read_only_attach"
	}
	_ = s.sendText(ctx, frame)
}

// keepAlive pings at once, because callers give up on a silent connection after 10 s, and then at
// regular times. It hangs up on a caller that gives no sign of life.
func (s *session) keepAlive(ctx context.Context) {
	tick := time.NewTicker(s.ping)
	defer tick.Stop()
	for {
		go func() {
			ctx, cancel := context.WithTimeout(ctx, s.silence)
			defer cancel()
			_ = s.conn.Ping(ctx) // the pong is noticed where it arrives
		}()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if s.busy.Load() {
			s.alive() // nobody reads what the caller sends while its input waits
		}
		if silent := time.Since(time.Unix(0, s.seen.Load())); silent > s.silence && !s.closing.Load() && !s.e.bugs.Has(bugs.HalfOpenSlot) {
			s.log.Warn("attached caller is silent", zap.String("execution_id", s.e.id), zap.Duration("for", silent))
			_ = s.conn.CloseNow()
			return
		}
	}
}

func (s *session) alive() { s.seen.Store(time.Now().UnixNano()) }
