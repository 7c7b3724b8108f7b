package campaign

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/model"
	"chaos/stack/live"
)

// hangingRig is a rig on a stack that says who we are and nothing else, ever.
func hangingRig(t *testing.T) (rig *Rig, asked *atomic.Int32) {
	t.Helper()
	asked, over := &atomic.Int32{}, make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if strings.HasSuffix(q.URL.Path, "/me") {
			_, _ = io.WriteString(w, `{"sub":"key:o"}`)
			return
		}
		asked.Add(1)
		<-over
	}))
	t.Cleanup(func() {
		close(over)
		s.CloseClientConnections()
		s.Close()
	})
	target, err := live.Connect(t.Context(), live.Config{URL: s.URL})
	require.NoError(t, err)
	rig, err = NewRig(target)
	require.NoError(t, err)
	rig.grace = 10 * time.Millisecond
	t.Cleanup(func() {
		rig.Close()
		target.Close()
	})
	return rig, asked
}

func TestRig_GivesUpOnAStackThatHangs(t *testing.T) {
	rig, asked := hangingRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, _, err := rig.Perform(ctx, parsePlan(t, "a: b1 = create\n"), 1)
		ended <- err
	}()
	require.Eventually(t, func() bool { return asked.Load() > 0 }, patience, time.Millisecond)
	since, plans := rig.Silence()
	require.Equal(t, 1, plans)
	require.Positive(t, since)
	require.Zero(t, rig.GivenUp())
	cancel()
	select {
	case err := <-ended:
		require.ErrorIs(t, err, context.Canceled)
	case <-time.After(patience):
		require.FailNow(t, "the plan is not given up")
	}
	require.Equal(t, 1, rig.GivenUp())
	since, plans = rig.Silence()
	require.Zero(t, since)
	require.Zero(t, plans)

	// Nothing is begun any more, so there is nothing more to give up.
	_, _, err := rig.Perform(ctx, parsePlan(t, "a: list\n"), 1)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 1, rig.GivenUp())
}

// The first plans of this seed wait for the answers to all that they ask (no giveup=).
func TestCampaign_KeepsItsTimeOnAStackThatHangs(t *testing.T) {
	rig, _ := hangingRig(t)
	stats := &Stats{}
	c := &Campaign{Rig: rig, Stats: stats, Events: Quiet{}, Excerpt: noExcerpt, Config: Config{Seed: 6, Duration: 300 * time.Millisecond, Workers: 3}}
	ended := make(chan error, 1)
	go func() {
		findings, err := c.Run(t.Context())
		require.Empty(t, findings)
		ended <- err
	}()
	select {
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(patience / 2): // an unanswered create alone is waited for longer than that
		require.FailNow(t, "the campaign does not end")
	}
	require.Equal(t, 3, rig.GivenUp())
	require.Zero(t, stats.Snapshot().Plans)
}

// TestPredicate_OfAPlanGivenUp says nothing, and is no failure of the harness.
func TestPredicate_OfAPlanGivenUp(t *testing.T) {
	rig, _ := hangingRig(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	out, err := rig.Predicate(model.Signature{Invariant: "x"})(ctx, parsePlan(t, "a: b1 = create\n"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.True(t, out.Inconclusive)
	require.False(t, out.Failed)
}
