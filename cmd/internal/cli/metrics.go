package cli

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"chaos/stack/live"
)

// checkMetrics refuses an address that others could read from.
func checkMetrics(addr string) error {
	if addr == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return usagef("--metrics %s: want an address of this machine with a port, like 127.0.0.1:9095", addr)
	}
	return nil
}

// serveMetrics offers the numbers of a run at http://addr/metrics for Prometheus until close is called.
func serveMetrics(addr string, p *progress, st *openStack) (at string, stop func(), err error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return "", nil, usagef("--metrics %s: %v", addr, err)
	}
	set := runMetrics(p, st)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		set.WritePrometheus(w)
		metrics.WriteProcessMetrics(w)
		metrics.WriteFDMetrics(w)
	})
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	go func() { _ = srv.Serve(ln) }() // until it is closed
	return "http://" + ln.Addr().String() + "/metrics", func() { _ = srv.Shutdown(context.Background()) }, nil
}

// runMetrics are the numbers of a run.
func runMetrics(p *progress, st *openStack) *metrics.Set {
	set := metrics.NewSet()
	for name, read := range map[string]func() int{
		"chaos_plans_total":              func() int { return p.stats.Snapshot().Plans },
		"chaos_steps_total":              func() int { return p.stats.Snapshot().Steps },
		"chaos_calls_total":              func() int { return p.stats.Snapshot().Calls },
		"chaos_execs_total":              func() int { return p.stats.Snapshot().Execs },
		"chaos_unknown_calls_total":      func() int { return p.stats.Snapshot().Unknown },
		"chaos_violated_plans_total":     func() int { return p.stats.Snapshot().Violated },
		"chaos_inconclusive_plans_total": func() int { return p.stats.Snapshot().Inconclusive },
		"chaos_lossy_journals_total":     func() int { return p.stats.Snapshot().Lossy },
		"chaos_given_up_plans_total":     st.rig.GivenUp,
		"chaos_findings_total": func() int {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.findings
		},
		"chaos_plans_in_flight": func() int { _, n := st.rig.Silence(); return n },
		"chaos_seconds_since_a_plan_ended": func() int {
			quiet, _ := st.rig.Silence()
			return int(quiet.Seconds())
		},
	} {
		set.NewGauge(name, func() float64 { return float64(read()) })
	}
	set.NewGauge("chaos_output_bytes_total", func() float64 { return float64(p.stats.Snapshot().OutputBytes) })
	if t, ok := st.target.(*live.Target); ok {
		set.NewGauge("chaos_boxes", func() float64 { return float64(t.Left()) })
	}
	return set
}
