package runner

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"chaos/stack/embedded/bugs"
)

// symptoms has, for each seeded bug of the runner, what a caller can see of it: a function that
// tries once and reports whether it was seen.
var symptoms = map[bugs.ID]func(h *harness, box string) bool{
	bugs.StdoutRace:     seesCutOutput,
	bugs.AttachLoss:     seesLossAfterReattach,
	bugs.Stopped500:     seesStopped500,
	bugs.OutputBleed:    seesForeignOutput,
	bugs.ResizeSwapped:  seesSwappedSize,
	bugs.StopExecOrphan: seesOrphan,
	bugs.LeaderOnlyKill: seesSurvivors,
	bugs.AttachRST:      seesCutSession,
	bugs.ReplayDup:      seesDoubleOutput,
	bugs.ResizeNoTTY:    seesResizeAccepted,
	bugs.ExitZero:       seesTwoExitCodes,

	bugs.TimeoutLeaderOnly: seesOverdue,
	bugs.CodeMinusOne:      seesMinusOne,
	bugs.NoExitAfterKill:   seesNoExit,
	bugs.KillDrainHang:     seesSilence,
	bugs.InfoStale:         seesStaleStatus,
	bugs.MetricsWake:       seesWakingScrape,
}

// Each seeded bug shows itself when it is on, and the same tries show nothing when it is off.
func TestSeededBugs(t *testing.T) {
	for _, b := range bugs.All() {
		if b.Where != "runner" || b.Needs != "" { // those that need a fault have tests of their own
			continue
		}
		see := symptoms[b.ID]
		require.NotNil(t, see, "no symptom for seeded bug %s", b.ID)
		t.Run(string(b.ID), func(t *testing.T) {
			// In a process of its own, because a seeded bug may be a data race by design.
			h := startProcess(t, withBugs(string(b.ID))).harness
			const most = 100
			tries := 0
			for box := h.box(); tries < most && !see(h, box); tries++ {
			}
			require.Less(t, tries, most, "never seen")
		})
		t.Run("without "+string(b.ID), func(t *testing.T) {
			h := start(t)
			box := h.box()
			for range 10 {
				require.False(t, see(h, box), "seen in the clean stack")
			}
		})
	}
}

func seesCutOutput(h *harness, box string) bool {
	s := h.run(box, sh("echo hello"))
	clean(h.t, s, 0)
	return string(s.out) != "hello\n"
}

func seesLossAfterReattach(h *harness, box string) bool {
	e := h.exec(box, sh("echo one; read x; echo two"))
	c := h.attach(box, e)
	var s seen
	until(h.t, c, &s, "one\n")
	require.NoError(h.t, c.CloseNow())
	c = h.attachSoon(box, e)
	send(h.t, c, websocket.MessageBinary, "\n")
	s = drain(c)
	clean(h.t, s, 0)
	return string(s.out) != "one\ntwo\n"
}

func seesStopped500(h *harness, box string) bool {
	h.mustJob("STOP_BOX", box)
	defer h.mustJob("START_BOX", box)
	status, text := h.tryExec(box, sh("true"))
	return status == http.StatusInternalServerError && strings.Contains(text, "(code=11)")
}

func seesForeignOutput(h *harness, box string) bool {
	const clients = 8
	var foreign [clients]bool
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			want := strings.Repeat(fmt.Sprintf("from %d\n", i), 20)
			s := h.run(box, map[string]any{"command": "printf", "args": []string{"%s", want}})
			foreign[i] = string(s.out) != want && strings.Contains(strings.ReplaceAll(string(s.out), fmt.Sprintf("from %d\n", i), ""), "from ")
		})
	}
	wg.Wait()
	return slices.Contains(foreign[:], true)
}

func seesSwappedSize(h *harness, box string) bool {
	body := sh("echo ready; read x; stty size")
	body["tty"] = true
	e := h.exec(box, body)
	c := h.attach(box, e)
	var s seen
	until(h.t, c, &s, "ready")
	status, text := h.call("POST", execPath(box, e)+"/resize", map[string]int{"rows": 50, "cols": 132})
	require.Equal(h.t, http.StatusNoContent, status, text)
	send(h.t, c, websocket.MessageBinary, "\n")
	return strings.Contains(string(drain(c).out), "132 50")
}

func seesOrphan(h *harness, box string) bool {
	ids := h.execsDuring("STOP_BOX", box)
	defer h.mustJob("START_BOX", box)
	for _, id := range ids {
		if h.info(box, id).Status == "running" {
			_ = h.attach(box, id).CloseNow()
			return true
		}
	}
	return false
}

func seesSurvivors(h *harness, box string) bool {
	stack := "stack-" + h.t.Name()
	s := h.run(box, sh("setsid sleep 60 </dev/null >/dev/null 2>&1 & echo up"))
	clean(h.t, s, 0)
	h.mustJob("STOP_BOX", box)
	stopped := len(marked(stack)) > 0
	h.mustJob("DESTROY_BOX", box)
	destroyed := len(marked(stack)) > 0
	require.Equal(h.t, stopped, destroyed)
	h.mustJob("CREATE_BOX", box)
	return destroyed
}

func seesCutSession(h *harness, box string) bool {
	script, want := numbered(200_000)
	e := h.exec(box, sh(script))
	require.Equal(h.t, 0, h.ended(box, e))
	s := drain(h.attach(box, e))
	return string(s.out) != want || string(s.err) != want || s.exit == nil || s.closed != websocket.StatusNormalClosure
}

func seesDoubleOutput(h *harness, box string) bool {
	const lines = 400
	c := h.attach(box, h.exec(box, sh(fmt.Sprintf("i=0; while [ $i -lt %d ]; do echo $i; i=$((i+1)); done", lines))))
	s := drain(c)
	clean(h.t, s, 0)
	return strings.Count(string(s.out), "\n") > lines
}

func seesResizeAccepted(h *harness, box string) bool {
	e := h.exec(box, sh("sleep 60"))
	status, _ := h.call("POST", execPath(box, e)+"/resize", map[string]int{"rows": 50, "cols": 132})
	return status == http.StatusNoContent
}

func seesTwoExitCodes(h *harness, box string) bool {
	e := h.exec(box, sh("echo up; kill -TERM $$"))
	s := drain(h.attach(box, e))
	clean(h.t, s, 143)
	return h.ended(box, e) == 0
}

func seesWakingScrape(h *harness, box string) bool {
	h.mustJob("STOP_BOX", box)
	defer h.mustJob("START_BOX", box)
	status, _ := h.call("GET", "/v1/boxes/"+box+"/metrics", nil)
	started, _ := h.tryExec(box, sh("true"))
	require.Equal(h.t, status == http.StatusOK, started == http.StatusCreated)
	return started == http.StatusCreated
}
