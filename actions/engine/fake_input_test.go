package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/coder/websocket"
)

// fakeInput is the standard input of an exec.
type fakeInput struct {
	mu   sync.Mutex
	data []byte
	over bool
	came chan struct{} // holds one element when something has come
}

// listen takes what the caller of a session sends until it goes, which ends the context.
func (e *fakeExec) listen(ctx context.Context, c *websocket.Conn, readOnly bool) (context.Context, <-chan struct{}) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer cancel()
		for {
			kind, p, err := c.Read(context.WithoutCancel(ctx))
			if err != nil {
				return
			}
			if !readOnly {
				e.in.take(kind, p)
			}
		}
	}()
	return ctx, done
}

// take adds a frame of input. What comes after its end is dropped.
func (in *fakeInput) take(kind websocket.MessageType, p []byte) {
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case in.over:
	case kind == websocket.MessageBinary:
		in.data = append(in.data, p...)
	case bytes.Contains(p, []byte(`"stdin_eof"`)):
		in.over = true
	}
	select {
	case in.came <- struct{}{}:
	default:
	}
}

var inputLine = regexp.MustCompile(`^awk 'BEGIN\{h=(\d+)\}\{h=\(h\*31\+NR\*7\)%999983;printf "(.*) %06d %06d %s\\n",NR,h,\$0\}END\{printf "(.*)%d\\n",NR\}'$`)

// reads does what the command that reads its input to the end does, and reports whether line is that.
func (e *fakeExec) reads(line string) bool {
	m := inputLine.FindStringSubmatch(line)
	if m == nil {
		return false
	}
	var data []byte
	for over := false; !over; {
		select {
		case <-e.in.came:
		case <-e.dead:
			return true
		case <-e.f.ctx.Done():
			return true
		}
		e.in.mu.Lock()
		data, over = e.in.data, e.in.over
		e.in.mu.Unlock()
	}
	h, _ := strconv.Atoi(m[1])
	var b strings.Builder
	n := 0
	for record := range bytes.SplitSeq(bytes.TrimSuffix(data, []byte("\n")), []byte("\n")) {
		if len(data) == 0 {
			break
		}
		n++
		h = (h*31 + n*7) % 999983
		fmt.Fprintf(&b, "%s %06d %06d %s\n", m[2], n, h, record)
	}
	e.write(b.String()+fmt.Sprintf("%s%d\n", m[3], n), "")
	return true
}
