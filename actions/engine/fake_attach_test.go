package engine_test

import (
	"context"
	"fmt"
	"net/http"

	"github.com/coder/websocket"

	"chaos/model"
)

func (f *fake) attach(w http.ResponseWriter, q *http.Request) {
	if f.hooks.before != nil {
		f.hooks.before(model.OpAttach, q)
	}
	refuse := func(status int, body string) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
	f.mu.Lock()
	e, org := f.lookup(q), f.orgs[key(q)]
	f.mu.Unlock()
	readOnly := q.URL.Query().Get("stdin") == "0"
	switch {
	case org == nil:
		refuse(401, "")
		return
	case e == nil:
		refuse(404, "")
		return
	case !e.claim(readOnly):
		refuse(409, `{"error":"invalid state: it is attached already, or being closed"}`)
		return
	}
	defer e.release(readOnly)
	if c, err := websocket.Accept(w, q, nil); err == nil {
		defer c.CloseNow()
		ctx, done := e.listen(f.ctx, c, readOnly)
		e.play(ctx, c)
		_ = c.CloseNow()
		<-done // what it sent comes before what the next one sends
	}
}

func (e *fakeExec) claim(readOnly bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.forgotten || e.attached && !readOnly {
		return false
	}
	e.attached = e.attached || !readOnly
	return true
}

func (e *fakeExec) release(readOnly bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.attached = e.attached && readOnly
}

// play sends all output from the beginning, and then the exit.
func (e *fakeExec) play(ctx context.Context, c *websocket.Conn) {
	for i := 0; ; {
		more, wait, ok := e.next(i)
		for _, k := range more {
			if c.Write(ctx, websocket.MessageBinary, append([]byte{k.stream}, k.data...)) != nil {
				return
			}
		}
		i += len(more)
		if !ok {
			break
		}
		if len(more) == 0 {
			select {
			case <-wait:
			case <-ctx.Done():
				return
			}
		}
	}
	_ = c.Write(ctx, websocket.MessageText, fmt.Appendf(nil, `{"type":"exit","exit_code":%d}`, e.code))
	_ = c.Close(websocket.StatusNormalClosure, "")
}
