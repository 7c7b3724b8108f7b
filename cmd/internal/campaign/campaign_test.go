package campaign

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/actions"
	"chaos/corpus"
	"chaos/corpus/shrink"
	"chaos/model"
	"chaos/stack/embedded/bugs"
)

// events records what a campaign says and calls found, if it is set, at each finding.
type events struct {
	log   []string
	found func()
}

func (e *events) Found(Failure) {
	e.log = append(e.log, "found")
	if e.found != nil {
		e.found()
	}
}

func (e *events) Better(Failure, shrink.Progress) { e.log = append(e.log, "better") }
func (e *events) Saved(*Finding)                  { e.log = append(e.log, "saved") }

// easy is how a seeded bug that takes no race is found soon.
var easy = Config{Seed: 4, Plans: 400, Workers: 3, Clients: 1, MaxSteps: 12, FailFast: true}

func openStore(t *testing.T, dir string) *corpus.Store {
	t.Helper()
	s, err := corpus.Open(dir, actions.Vocabulary{})
	require.NoError(t, err)
	return s
}

func TestCampaign_PerformsAsManyPlansAsAsked(t *testing.T) {
	rig, target := startRig(t, nil)
	stats := &Stats{}
	var mu sync.Mutex
	seeds := map[int64]bool{}
	rig.Save = func(h *model.History) (func(model.Verdict), error) {
		mu.Lock()
		defer mu.Unlock()
		seeds[h.Meta.Seed] = true
		return func(model.Verdict) {}, nil
	}
	c := &Campaign{Rig: rig, Stats: stats, Events: Quiet{}, Excerpt: noExcerpt, Config: Config{Seed: 5, Plans: 7, Workers: 3, MaxSteps: 12}}
	findings, err := c.Run(t.Context())
	require.NoError(t, err)
	require.Empty(t, findings)
	require.Equal(t, 7, stats.Snapshot().Plans)
	want := map[int64]bool{}
	for i := range 7 {
		want[PlanSeed(5, i)] = true
	}
	require.Equal(t, want, seeds, "the first seven plans of the seed, whoever took them")
	requireNothingLeft(t, target)
}

func TestCampaign_EndsWithItsTime(t *testing.T) {
	rig, target := startRig(t, nil)
	c := &Campaign{Rig: rig, Stats: &Stats{}, Events: Quiet{}, Excerpt: noExcerpt, Config: Config{Seed: 5, Duration: 200 * time.Millisecond, Workers: 3}}
	findings, err := c.Run(t.Context())
	require.NoError(t, err, "time that is up is no failure")
	require.Empty(t, findings)
	requireNothingLeft(t, target)
}

func TestCampaign_InterruptedMidRun(t *testing.T) {
	rig, target := startRig(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := &Campaign{Rig: rig, Stats: &Stats{}, Events: Quiet{}, Excerpt: noExcerpt, Config: Config{Seed: 5, Workers: 3}}
	type result struct {
		findings []*Finding
		err      error
	}
	ended := make(chan result, 1)
	go func() {
		findings, err := c.Run(ctx)
		ended <- result{findings, err}
	}()
	require.Eventually(t, func() bool { return busy(t, target) }, patience, time.Millisecond, "there is something to leave behind")
	cancel()
	select {
	case r := <-ended:
		require.NoError(t, r.err, "an interruption is no failure of the harness")
		require.Empty(t, r.findings)
	case <-time.After(patience):
		require.FailNow(t, "the campaign does not end")
	}
	requireNothingLeft(t, target)
}

func TestCampaign_InterruptedWhileShrinkingKeepsTheFinding(t *testing.T) {
	rig, target := startRig(t, bugs.Set{bugs.Stopped500: true})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	dir := t.TempDir()
	ev := &events{found: cancel}
	c := &Campaign{Rig: rig, Stats: &Stats{}, Events: ev, Store: openStore(t, dir), Excerpt: noExcerpt, Bugs: []string{"stopped-500"}, Config: easy}
	findings, err := c.Run(ctx)
	require.NoError(t, err)
	require.Len(t, findings, 1)
	f := findings[0]
	require.Equal(t, "typed-errors", f.Violation.Signature.Invariant)
	require.True(t, f.Shrunk.Interrupted)
	require.Equal(t, []string{"found", "saved"}, ev.log)
	onDisk, err := corpus.Load(f.Path, actions.Vocabulary{})
	require.NoError(t, err)
	require.Equal(t, f.Violation.Signature, onDisk.Signature)
	require.Equal(t, f.Name(), onDisk.Name)
	require.Equal(t, corpus.New, f.Added)
	requireNothingLeft(t, target)
}

func TestCampaign_ShrinksAndSavesOnce(t *testing.T) {
	rig, target := startRig(t, bugs.Set{bugs.Stopped500: true})
	dir := t.TempDir()
	cfg := easy
	cfg.Shrink = ShrinkConfig{Parallel: 3}
	ev := &events{}
	c := &Campaign{Rig: rig, Stats: &Stats{}, Events: ev, Store: openStore(t, dir), Excerpt: noExcerpt, Build: "test", Bugs: []string{"stopped-500"}, Config: cfg}
	findings, err := c.Run(t.Context())
	require.NoError(t, err)
	require.Len(t, findings, 1)
	first := findings[0]
	require.Len(t, first.Case.Plan.Steps, 3)
	require.True(t, first.Case.Certificate.Fresh)
	require.Equal(t, "found", ev.log[0])
	require.Equal(t, "saved", ev.log[len(ev.log)-1])
	require.Contains(t, ev.log, "better")
	onDisk, err := corpus.Load(first.Path, actions.Vocabulary{})
	require.NoError(t, err)
	require.Equal(t, first.Case.Plan, onDisk.Plan)
	require.Equal(t, "test", onDisk.Build)

	// A later campaign that finds it again names the case that is there, and does not spoil it.
	cfg.Shrink.Off = true
	c = &Campaign{Rig: rig, Stats: &Stats{}, Events: Quiet{}, Store: openStore(t, dir), Excerpt: noExcerpt, Bugs: []string{"stopped-500"}, Config: cfg}
	findings, err = c.Run(t.Context())
	require.NoError(t, err)
	require.Len(t, findings, 1)
	require.Equal(t, corpus.Duplicate, findings[0].Added)
	require.Equal(t, first.Path, findings[0].Path)
	require.Equal(t, first.Name(), findings[0].Name())
	again, err := corpus.Load(first.Path, actions.Vocabulary{})
	require.NoError(t, err)
	require.Equal(t, onDisk, again)
	requireNothingLeft(t, target)
}

func TestCampaign_ABrokenHarnessEndsIt(t *testing.T) {
	rig, target := startRig(t, nil)
	full := errors.New("disk full")
	rig.Save = func(*model.History) (func(model.Verdict), error) { return nil, full }
	c := &Campaign{Rig: rig, Stats: &Stats{}, Events: Quiet{}, Excerpt: noExcerpt, Config: Config{Seed: 5, Workers: 3, MaxSteps: 12}}
	findings, err := c.Run(t.Context())
	require.ErrorIs(t, err, full)
	require.Empty(t, findings)
	requireNothingLeft(t, target)
}
