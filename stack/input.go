package stack

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// inputFrames are the sizes of the frames that input is sent in, over and over: single bytes, pieces
// of lines, many lines at once.
var inputFrames = []int{1, 40, 7, 300, 4096, 123, 1500}

// input is what a session sent.
type input struct {
	bytes int
	eof   int64 // when the end was sent, 0 = it was not
}

// sendInput sends data in several frames and then the end of the input. It gives up when the
// connection takes no more.
func sendInput(ctx context.Context, conn *websocket.Conn, data []byte, now func() int64) (in input) {
	for i := 0; len(data) > 0; i++ {
		n := min(len(data), inputFrames[i%len(inputFrames)])
		if conn.Write(ctx, websocket.MessageBinary, data[:n]) != nil {
			return in
		}
		in.bytes, data = in.bytes+n, data[n:]
	}
	if conn.Write(ctx, websocket.MessageText, []byte(`{"type":"stdin_eof"}`)) == nil {
		in.eof = now()
	}
	return in
}

// The receive buffer of a session that does not read, and of one that does again, in bytes. The kernel
// would otherwise read megabytes for it, and the server would never notice; but with less than a
// segment of loopback the connection would crawl.
const (
	lazyBuffer  = 64 << 10
	awakeBuffer = 1 << 20
)

// lazyHTTP returns a client for one session that does not read until it is woken.
func lazyHTTP() (hc *http.Client, wake func()) {
	var mu sync.Mutex
	var conns []*net.TCPConn
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, addr)
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetReadBuffer(lazyBuffer) // where it cannot be set, back-pressure comes later
			mu.Lock()
			defer mu.Unlock()
			conns = append(conns, tcp)
		}
		return conn, err
	}
	wake = func() {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range conns {
			_ = c.SetReadBuffer(awakeBuffer)
		}
	}
	return &http.Client{CheckRedirect: noRedirect, Transport: &http.Transport{DialContext: dial}}, wake
}

// pause waits for d and reports whether it did so in full.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
