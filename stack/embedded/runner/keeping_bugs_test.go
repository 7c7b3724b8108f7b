package runner

import (
	"fmt"
	"strings"

	"chaos/stack/embedded/bugs"
)

// The symptoms of the seeded bugs about what a box keeps and what it must not.
func init() {
	symptoms[bugs.RootfsLost] = seesLostFile
	symptoms[bugs.BoxDirsShared] = seesFileOfRemovedBox
	symptoms[bugs.EnvBleed] = seesVariableOfAnother
	symptoms[bugs.StopSparesChildren] = seesChildAfterRestart
}

// says runs a script in a box and returns what it prints.
func (h *harness) says(box, script string) string {
	h.t.Helper()
	s := h.run(box, sh(script))
	clean(h.t, s, 0)
	return strings.TrimSpace(string(s.out))
}

func (h *harness) restart(box string) {
	h.t.Helper()
	h.mustJob("STOP_BOX", box)
	h.mustJob("START_BOX", box)
}

func seesLostFile(h *harness, box string) bool {
	h.says(box, "echo here >kept")
	h.restart(box)
	return h.says(box, "cat kept 2>/dev/null || true") != "here"
}

func seesFileOfRemovedBox(h *harness, _ string) bool {
	h.seq++
	named := payload{Image: "alpine:latest", Name: fmt.Sprintf("name-%d", h.seq)}
	first, second := fmt.Sprintf("Old%09d", h.seq), fmt.Sprintf("New%09d", h.seq)
	h.mustJob("CREATE_BOX", first, named)
	h.says(first, "echo secret >mine")
	h.mustJob("DESTROY_BOX", first)
	h.mustJob("CREATE_BOX", second, named)
	defer h.mustJob("DESTROY_BOX", second)
	return h.says(second, "cat mine 2>/dev/null || true") == "secret"
}

func seesVariableOfAnother(h *harness, box string) bool {
	body := sh("true")
	body["env"] = map[string]string{"OF_ANOTHER": "yes"}
	clean(h.t, h.run(box, body), 0)
	return h.says(box, "echo $OF_ANOTHER") == "yes"
}

func seesChildAfterRestart(h *harness, box string) bool {
	h.says(box, "(while sleep 0.01; do echo >beat; done) </dev/null >/dev/null 2>&1 &")
	h.restart(box)
	defer func() {
		// What beats would still write while the test's directory is removed.
		h.mustJob("DESTROY_BOX", box)
		h.mustJob("CREATE_BOX", box)
	}()
	return h.says(box, "rm -f beat; sleep 0.3; test -e beat && echo beats || true") == "beats"
}
