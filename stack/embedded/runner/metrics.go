package runner

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"

	"chaos/stack/embedded/bugs"
)

// boxMetrics is the answer to GET metrics. The counters are those of the whole life of the box.
type boxMetrics struct {
	CommandsExecuted int64 `json:"commands_executed_total"`
	ExecErrors       int64 `json:"exec_errors_total"`
	BytesSent        int64 `json:"bytes_sent_total"`     // input of commands
	BytesReceived    int64 `json:"bytes_received_total"` // output of commands
	MemoryBytes      int64 `json:"memory_bytes"`         // resident set of all processes
	Processes        int   `json:"processes"`
}

// getMetrics only observes: it does not wake a stopped box.
func (r *Runner) getMetrics(w http.ResponseWriter, req *http.Request) error {
	b, err := r.box(req.PathValue("box"))
	if err != nil {
		return err
	}
	run := b.current()
	if run == nil && r.cfg.bugs.Has(bugs.MetricsWake) {
		if err := r.startBox(b); err != nil {
			return err
		}
		run = b.current()
	}
	if run == nil || isGone(run.sb) {
		return &errStopped{b.id}
	}
	m := boxMetrics{
		CommandsExecuted: b.started.Load(),
		ExecErrors:       b.failed.Load(),
		BytesSent:        b.received.Load(),
	}
	b.mu.Lock()
	m.BytesReceived = b.forgotten
	for _, e := range b.execs {
		m.BytesReceived += e.out.total()
	}
	b.mu.Unlock()
	m.addTree(run.sb.InitPID())
	writeJSON(w, http.StatusOK, m)
	return nil
}

// addTree adds a process and its descendants. One that ends meanwhile is not counted.
func (m *boxMetrics) addTree(pid int) {
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return
	}
	if f := strings.Fields(string(statm)); len(f) > 1 {
		pages, _ := strconv.ParseInt(f[1], 10, 64)
		m.MemoryBytes += pages * int64(os.Getpagesize())
	}
	m.Processes++
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, t := range tasks {
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, t.Name()))
		for _, c := range strings.Fields(string(children)) {
			if child, err := strconv.Atoi(c); err == nil {
				m.addTree(child)
			}
		}
	}
}
