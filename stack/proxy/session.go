package proxy

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"chaos/model"
)

// session passes an upgraded connection on, frame by frame where the plan wants something done to
// its frames.
func (h *hop) session(w http.ResponseWriter, r *http.Request, rule *rule, addr string) {
	server, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", addr)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer server.Close()
	narrow(server)
	if err := r.Write(server); err != nil {
		panic(http.ErrAbortHandler)
	}
	in := bufio.NewReader(server)
	res, err := http.ReadResponse(in, r)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer res.Body.Close()
	rule.pass(r.Context(), h.names.answer)
	if res.StatusCode != http.StatusSwitchingProtocols {
		give(w, res)
		return
	}
	client, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer client.Close()
	narrow(client)
	if res.Write(client) != nil {
		return
	}
	h.proxy.join(client, rw.Reader, server, in, rule)
}

// narrow leaves the kernel little room for a connection.
func narrow(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(buffer)
		_ = tcp.SetWriteBuffer(buffer)
	}
}

// join copies both ways until both ways have ended, or the proxy does.
func (p *Proxy) join(client net.Conn, fromClient io.Reader, server net.Conn, fromServer *bufio.Reader, rule *rule) {
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-p.ctx.Done():
			client.Close()
			server.Close()
		case <-stop:
		}
	}()
	s := &stream{client: client, server: server, in: fromServer, rule: rule}
	up := make(chan struct{})
	go func() {
		defer close(up)
		_, err := io.Copy(server, fromClient)
		if !s.half.Load() {
			end(server, err)
		}
	}()
	if rule == nil || !s.wanted() {
		_, err := io.Copy(client, fromServer)
		end(client, err)
		<-up
		return
	}
	s.run()
	<-up
}

// end ends one direction of a connection the way the other connection's has: in good order, or not.
func end(c net.Conn, err error) {
	tcp, ok := c.(*net.TCPConn)
	switch {
	case ok && err == nil:
		_ = tcp.CloseWrite()
	case ok:
		abort(tcp)
	default:
		c.Close()
	}
}

// abort resets a connection: what is on its way is lost.
func abort(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.Close()
}

// stream is the way from server to client of a session whose frames the plan knows.
type stream struct {
	client, server net.Conn
	in             *bufio.Reader
	rule           *rule
	frames         int
	half           atomic.Bool // the client has lost its connection, and the server is not to know
	slept          time.Duration
}

// Bounds of what frames may be held for in all, and of how long a server may be left with half a
// connection.
const (
	mostFrameHold = time.Second
	halfOpenLimit = 20 * time.Second
)

func (s *stream) wanted() bool {
	for _, key := range []string{model.HoldFrames, model.CutFrame, model.HalfClose} {
		if s.rule.args.Has(key) {
			return true
		}
	}
	return false
}

// run passes frames on until the session ends, or is to be cut.
func (s *stream) run() {
	hold := s.rule.args.Duration(model.HoldFrames)
	for {
		head, size, err := readHeader(s.in)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			end(s.client, err)
			return
		}
		data := head[0]&0x08 == 0 // not ping, pong or close
		if data && hold > 0 && s.slept < mostFrameHold {
			at := s.rule.plan.now()
			t := time.NewTimer(hold)
			select {
			case <-t.C:
			case <-s.rule.plan.done.Done():
			}
			t.Stop()
			s.slept += hold
			s.rule.tell(model.HoldFrames, at, hold)
		}
		if _, err = s.client.Write(head); err == nil {
			_, err = io.CopyN(s.client, s.in, size)
		}
		if err != nil {
			end(s.client, err)
			abort(s.server)
			return
		}
		if data {
			s.frames++
		}
		if s.cut() {
			return
		}
	}
}

// cut ends the session when it has had its frames, and reports whether it did.
func (s *stream) cut() bool {
	now := s.rule.plan.now()
	if k := s.rule.args.Int(model.CutFrame); k > 0 && s.frames >= k {
		s.rule.tell(model.CutFrame, now, 0)
		abort(s.client)
		abort(s.server)
		return true
	}
	k := s.rule.args.Int(model.HalfClose)
	if k == 0 || s.frames < k {
		return false
	}
	s.rule.tell(model.HalfClose, now, 0)
	s.half.Store(true)
	abort(s.client)
	// The server is left alone with its connection: nothing is read from it any more, and nothing says
	// that it is over.
	t := time.NewTimer(halfOpenLimit)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.rule.plan.done.Done():
	}
	abort(s.server)
	return true
}

// readHeader reads the header of a WebSocket frame (RFC 6455, 5.2) and returns it with the size of
// the payload that follows, in bytes.
func readHeader(in *bufio.Reader) (head []byte, size int64, err error) {
	head = make([]byte, 2, 14)
	if _, err := io.ReadFull(in, head); err != nil {
		return nil, 0, err
	}
	more := 0
	switch size = int64(head[1] & 0x7f); size {
	case 126:
		more = 2
	case 127:
		more = 8
	}
	length := make([]byte, more, 12)
	if _, err := io.ReadFull(in, length); err != nil {
		return nil, 0, io.ErrUnexpectedEOF
	}
	switch more {
	case 2:
		size = int64(binary.BigEndian.Uint16(length))
	case 8:
		size = int64(binary.BigEndian.Uint64(length) &^ (1 << 63))
	}
	head = append(head, length...)
	if head[1]&0x80 != 0 { // a mask, which servers do not send
		mask := make([]byte, 4)
		if _, err := io.ReadFull(in, mask); err != nil {
			return nil, 0, io.ErrUnexpectedEOF
		}
		head = append(head, mask...)
	}
	return head, size, nil
}
