package campaign

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/model"
	"chaos/stack/embedded"
)

// campaignOn performs a small campaign under s on a stack of its own, and returns what it counted.
func campaignOn(t *testing.T, cfg Config, s sabotage) (Counts, []*Finding, error) {
	t.Helper()
	double, target := startStack(t)
	rig := tamper(t, target, s)
	defer func() {
		rig.Close()
		stopStack(t, double, target)
	}()
	cfg.Workers, cfg.Shrink.Off = 3, true
	stats := &Stats{}
	c := &Campaign{Rig: rig, Stats: stats, Events: Quiet{}, Excerpt: noExcerpt, Config: cfg}
	findings, err := c.Run(t.Context())
	return stats.Snapshot(), findings, err
}

// startStack starts a clean stack that reports as often as that of chaos run does.
func startStack(t *testing.T) (*embedded.Stack, *embedded.Target) {
	t.Helper()
	s, err := embedded.Start(t.Context(), embedded.Options{SyncInterval: 15 * time.Millisecond})
	require.NoError(t, err)
	return s, embedded.NewTarget(s)
}

func stopStack(t *testing.T, s *embedded.Stack, target *embedded.Target) {
	t.Helper()
	target.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(t, s.Stop(ctx))
}

// hog keeps every processor busy until the test ends.
func hog(t *testing.T) {
	t.Helper()
	var over atomic.Bool
	var wg sync.WaitGroup
	for range 2 * runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for !over.Load() {
			}
		})
	}
	t.Cleanup(func() {
		over.Store(true)
		wg.Wait()
	})
}

// number reads a number from the environment.
func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, name)
	return n
}

// TestPower_NeverRefusesAHealthyRun performs healthy runs, the last one beside a busy processor.
// CHAOS_POWER_RUNS and CHAOS_POWER_PLANS ask for more of them; what thresholds go by is logged.
func TestPower_NeverRefusesAHealthyRun(t *testing.T) {
	runs, plans := number(t, "CHAOS_POWER_RUNS", 5), number(t, "CHAOS_POWER_PLANS", 6)
	cfg := Config{Plans: plans, Clients: number(t, "CHAOS_POWER_CLIENTS", 0), MaxSteps: number(t, "CHAOS_POWER_STEPS", 60)}
	for i := range runs {
		name := "run " + strconv.Itoa(i)
		if i == runs-1 {
			name = "beside a busy processor"
		}
		t.Run(name, func(t *testing.T) {
			if i == runs-1 {
				hog(t)
			}
			cfg := cfg
			cfg.Seed = int64(7000 + i)
			c, findings, err := campaignOn(t, cfg, sabotage{})
			require.NoError(t, err)
			require.Empty(t, findings)
			signs, err := json.Marshal(c.Signs)
			require.NoError(t, err)
			t.Logf("plans %d inconclusive %d overlap %.3f signs %s", c.Plans, c.Inconclusive, c.Overlap(), signs)
			require.Empty(t, Power(c))
		})
	}
}

// TestPower_RefusesASabotagedRun sabotages whole campaigns on a stack that has no bug. Some give
// findings besides, which is no green either; the reason must be there all the same.
func TestPower_RefusesASabotagedRun(t *testing.T) {
	var lock sync.Mutex
	other, otherTarget := startStack(t)
	t.Cleanup(func() { stopStack(t, other, otherTarget) })
	for name, c := range map[string]struct {
		sabotage
		cfg  Config
		want Lack
	}{
		"one client":                    {cfg: Config{Plans: 4, Clients: 1}, want: OneClient},
		"clients wait for each other":   {sabotage{perform: func(_ model.Step, do func()) { lock.Lock(); defer lock.Unlock(); do() }}, Config{Plans: 4}, NoOverlap},
		"calls queue before the API":    {sabotage{layer: oneByOne()}, Config{Plans: 72}, OneByOne},
		"every create fails":            {sabotage{layer: answering(http.MethodPost, "/boxes", unavailable)}, Config{Plans: 4}, NoBoxes},
		"every create hangs":            {sabotage{layer: answering(http.MethodPost, "/boxes", silent), limits: impatient}, Config{Plans: 3, MaxSteps: 12}, NoBoxes},
		"a cache makes up boxes":        {sabotage{layer: cache(), limits: impatient}, Config{Plans: 4, MaxSteps: 12}, NotRunner},
		"the journal of another runner": {sabotage{log: otherTarget.Journal(), limits: impatient}, Config{Plans: 4}, NotRunner},
		"the journal is empty":          {sabotage{log: emptyLog{}, limits: impatient}, Config{Plans: 4}, NoJournal},
		"every exec fails":              {sabotage{layer: answering(http.MethodPost, "/exec", unavailable)}, Config{Plans: 4}, NoExecs},
		"execs are never asked for":     {sabotage{perform: withoutExecs}, Config{Plans: 4}, NoExecs},
	} {
		t.Run(name, func(t *testing.T) {
			c.cfg.Seed = 8000
			counts, findings, err := campaignOn(t, c.cfg, c.sabotage)
			require.NoError(t, err)
			signs, err := json.Marshal(counts.Signs)
			require.NoError(t, err)
			t.Logf("plans %d inconclusive %d findings %d signs %s", counts.Plans, counts.Inconclusive, len(findings), signs)
			for _, f := range findings {
				t.Logf("found %s", f.Violation.Signature)
			}
			lacks := []Lack{}
			for _, r := range Power(counts) {
				t.Logf("refused: %s", r.Text)
				lacks = append(lacks, r.Lack)
			}
			require.Contains(t, lacks, c.want)
		})
	}
}

// impatient is for what will never come: waiting for it longer shows no more.
func impatient(l *model.Limits) {
	l.Call, l.Converge = time.Second, time.Second
}

// withoutExecs leaves out every step that starts an exec.
func withoutExecs(s model.Step, do func()) {
	if !s.Bind.IsExec() {
		do()
	}
}
