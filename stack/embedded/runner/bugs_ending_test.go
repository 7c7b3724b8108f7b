package runner

import (
	"context"
	"net/http"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// What callers see of the seeded bugs about the end of executions.

// seesOverdue looks for an execution that goes on after its command was ended by its time limit: in
// the box nothing but the child is left, which is no reason to wait.
func seesOverdue(h *harness, box string) bool {
	body := sh("sleep 62 & sleep 61; exit 0")
	body["timeout_seconds"] = 0.1
	e := h.exec(box, body)
	require.Eventually(h.t, func() bool { return !h.runs(box, "sleep 61; exit") }, deadline, 20*time.Millisecond)
	// What the clean stack does next takes it no longer than this command in the same box.
	for range 5 {
		clean(h.t, h.run(box, sh("sleep 0.1")), 0)
	}
	late := h.info(box, e).Status == "running"
	status, text := h.call("DELETE", execPath(box, e), nil)
	require.Equal(h.t, http.StatusNoContent, status, text)
	return late
}

// runs reports whether a process whose command line contains text runs in box.
func (h *harness) runs(box, text string) bool {
	s := h.run(box, sh(`for p in /proc/[0-9]*; do tr '\0' ' ' <$p/cmdline; echo; done 2>/dev/null | grep -c "[`+text[:1]+`]`+text[1:]+`"`))
	return string(s.out) != "0\n"
}

func seesMinusOne(h *harness, box string) bool {
	var ids []string
	for range 4 {
		ids = append(ids, h.exec(box, sh("sleep 0.1; exit 3")))
	}
	seen := false
	for _, e := range ids {
		code := h.ended(box, e)
		require.Contains(h.t, []int{3, -1}, code)
		seen = seen || code == -1
	}
	return seen
}

func seesNoExit(h *harness, box string) bool {
	e := h.exec(box, sh("echo up; sleep 60"))
	c := h.attach(box, e)
	var s seen
	until(h.t, c, &s, "up\n")
	status, text := h.call("DELETE", execPath(box, e), nil)
	require.Equal(h.t, http.StatusNoContent, status, text)
	s = drain(c)
	return s.exit == nil && s.closed == websocket.StatusGoingAway
}

// seesSilence looks for a session that is still open when its execution has been deleted and a whole
// other one has run after it.
func seesSilence(h *harness, box string) bool {
	e := h.exec(box, sh("echo up; sleep 60"))
	c := h.attach(box, e)
	defer c.CloseNow()
	var s seen
	until(h.t, c, &s, "up\n")
	status, text := h.call("DELETE", execPath(box, e), nil)
	require.Equal(h.t, http.StatusNoContent, status, text)
	clean(h.t, h.run(box, sh("sleep 0.3")), 0)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	_, _, err := c.Read(ctx)
	return err != nil && ctx.Err() != nil
}

func seesStaleStatus(h *harness, box string) bool {
	e := h.exec(box, sh("true"))
	clean(h.t, drain(h.attach(box, e)), 0)
	return h.info(box, e).Status == "running"
}
