package runner

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"chaos/stack/embedded/bugs"
)

func init() {
	symptoms[bugs.SlotStuck] = seesStuckSlot
	symptoms[bugs.DoubleAttach] = seesTwoWriters
	symptoms[bugs.SlowReaderStall] = seesStall
	symptoms[bugs.UTF8Mangled] = seesMangledText
	symptoms[bugs.StdinEOFOvertakes] = seesShortInput
}

// patience is how long a symptom of something that never comes is waited for.
const patience = 3 * time.Second

// seesStuckSlot hangs up once the exit is there.
func seesStuckSlot(h *harness, box string) bool {
	e := h.exec(box, sh("echo hi"))
	r := h.rawAttach(box, e)
	for op := byte(0); op != opText; {
		op, _ = r.frame()
	}
	require.NoError(h.t, r.c.Close())
	for begun := time.Now(); time.Since(begun) < patience; {
		c, status, err := h.dial(box, e, "")
		if err == nil {
			_ = c.CloseNow()
			return false
		}
		require.Equal(h.t, http.StatusConflict, status)
	}
	return true
}

func seesTwoWriters(h *harness, box string) bool {
	e := h.exec(box, sh("sleep 60"))
	defer h.call("DELETE", execPath(box, e), nil)
	var in [2]bool
	var wg sync.WaitGroup
	for i := range in {
		wg.Go(func() {
			c, status, err := h.dial(box, e, "")
			if in[i] = err == nil; in[i] {
				h.t.Cleanup(func() { _ = c.CloseNow() })
			} else if status != http.StatusConflict {
				h.t.Errorf("attach: %v", err)
			}
		})
	}
	wg.Wait()
	return in[0] && in[1]
}

// seesStall runs short commands beside a caller that does not read.
func seesStall(h *harness, box string) bool {
	e := h.exec(box, sh("head -c 20000000 /dev/zero"))
	c := h.attach(box, e)
	defer func() { _ = c.CloseNow() }()
	for range 5 {
		quick := h.attach(box, h.exec(box, sh("echo quick")))
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		_, _, err := quick.Read(ctx)
		cancel()
		_ = quick.CloseNow()
		if err != nil {
			return true
		}
	}
	return false
}

func seesMangledText(h *harness, box string) bool {
	want := strings.Repeat("漢", 3000)
	s := h.run(box, map[string]any{"command": "printf", "args": []string{"%s", want}})
	clean(h.t, s, 0)
	return string(s.out) != want
}

func seesShortInput(h *harness, box string) bool {
	c := h.attach(box, h.exec(box, sh("sleep 0.05; cat")))
	all := bytes.Repeat([]byte("0123456789abcdef"), 8<<10) // twice what a pipe holds
	for i := 0; i < len(all); i += 16 << 10 {
		send(h.t, c, websocket.MessageBinary, string(all[i:i+16<<10]))
	}
	send(h.t, c, websocket.MessageText, `{"type":"stdin_eof"}`)
	s := drain(c)
	clean(h.t, s, 0)
	return !bytes.Equal(all, s.out)
}
