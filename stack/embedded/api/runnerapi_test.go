package api

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

func TestSync_CorrectsWhatIsNewerAndSettled(t *testing.T) {
	g := newRig(t)
	id := g.create("")
	epoch := g.runner.report(t, 0, nil)

	g.runner.report(t, epoch-1, []claim{{id, "stopped"}})
	require.Equal(t, "running", g.status(id), "an older report than the last change is disregarded")

	g.runner.report(t, epoch, []claim{{id, "paused"}, {"unknown-box1", "running"}})
	require.Equal(t, "running", g.status(id), "unknown states and boxes are disregarded")

	next := g.runner.report(t, epoch, []claim{{id, "stopped"}})
	require.Equal(t, "stopped", g.status(id), "a box that died by itself is stopped")
	require.Greater(t, next, epoch, "every change moves the epoch")
	require.Equal(t, next, g.runner.report(t, next, []claim{{id, "stopped"}}), "no change, no new epoch")

	g.runner.report(t, epoch, []claim{{id, "running"}})
	require.Equal(t, "stopped", g.status(id))
}

func TestSync_LeavesPendingAndDeletedBoxesAlone(t *testing.T) {
	g := newRig(t)
	id := g.create("")
	g.runner.hold(stopBox)
	g.runner.hold(destroyBox)
	require.Equal(t, 201, g.do("POST", "/v1/boxes/"+id+"/stop", "").status)
	epoch := g.runner.report(t, 0, nil)
	g.runner.report(t, epoch, g.runner.look())
	require.Equal(t, "stopping", g.status(id))
	g.runner.letGo(stopBox)
	g.eventually(id, "stopped")
	require.Equal(t, 204, g.do("DELETE", "/v1/boxes/"+id, "").status)
	epoch = g.runner.report(t, epoch, nil)
	g.runner.report(t, epoch, []claim{{id, "running"}})
	require.Empty(t, g.listed(""))
	g.runner.letGo(destroyBox)
	require.Eventually(t, func() bool { return len(g.runner.look()) == 0 }, patience, time.Millisecond)
	g.runner.report(t, epoch+100, []claim{{id, "running"}})
	require.Empty(t, g.listed(""))
}

// bare is a server without a runner: the test is the runner.
func bare(t *testing.T) *Server {
	s, err := New(Config{Keys: []Key{{keyA, orgA}}, RunnerToken: token, SweepMillis: 3_600_000}, zap.NewNop())
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

func admitted(t *testing.T, s *Server) record {
	r, err := s.store.insert(orgA, spec{Image: defaultImage}, admission{})
	require.NoError(t, err)
	s.store.release(r.job)
	return r
}

func TestQueue_OneJobPerBoxInOrder(t *testing.T) {
	s := bare(t)
	a, b := admitted(t, s), admitted(t, s)
	jobs, _, _ := s.store.take("http://r1", "http://r1", 1)
	require.Len(t, jobs, 1)
	require.Equal(t, a.id, jobs[0].boxID)
	s.store.enqueue(&job{id: "second", kind: stopBox, boxID: a.id, done: make(chan struct{})})
	jobs, _, more := s.store.take("http://r1", "http://r1", 9)
	require.Len(t, jobs, 1, "the second job of a box waits for the first")
	require.Equal(t, b.id, jobs[0].boxID)
	_, ok := s.store.complete(a.job.id, "", "")
	require.True(t, ok)
	<-more
	jobs, _, _ = s.store.take("http://r1", "http://r1", 9)
	require.Len(t, jobs, 1)
	require.Equal(t, "second", jobs[0].id)
	_, ok = s.store.complete(a.job.id, "again", "")
	require.False(t, ok, "a repeated callback changes nothing")
	require.Equal(t, "running", a.job.result.state.status())
}

func TestQueue_JobsOfALostRunnerAreHandedOutAgain(t *testing.T) {
	s := bare(t)
	r := admitted(t, s)
	jobs, _, _ := s.store.take("http://r1", "http://r1", 9)
	require.Len(t, jobs, 1)
	jobs, _, _ = s.store.take("http://r1", "http://r1", 9)
	require.Empty(t, jobs, "not while the runner that has it lives")
	jobs, _, _ = s.store.take("http://r2", "http://r2", 9)
	require.Len(t, jobs, 1)
	require.Equal(t, r.job.id, jobs[0].id)
	s.store.untake(jobs)
	jobs, _, _ = s.store.take("http://r2", "http://r2", 9)
	require.Len(t, jobs, 1, "a job whose answer could not be sent is not lost")
}

func TestPoll_AnotherInstanceGetsTheJobsOfTheFirst(t *testing.T) {
	for _, bug := range []string{"", "restart-drops-job"} {
		t.Run(bug, func(t *testing.T) {
			g := newRig(t, withBug(bug))
			g.runner.close()
			poll := func(instance string) []jobJSON {
				var got pollAnswer
				require.NoError(t, g.runner.post(t.Context(), "/runner/jobs/poll", map[string]any{"runner_url": "http://r", "instance": instance, "wait_ms": 1, "max": 9}, &got))
				return got.Jobs
			}
			r := admitted(t, g.api)
			require.Len(t, poll("one"), 1)
			require.Empty(t, poll("one"))
			if bug != "" {
				require.Empty(t, poll("two"), "nobody gets it any more")
				return
			}
			again := poll("two")
			require.Len(t, again, 1)
			require.Equal(t, r.job.id, again[0].ID)
			require.Empty(t, poll("two"))
			_, ok := g.api.store.complete(r.job.id, "", "core")
			require.True(t, ok)
			require.Empty(t, poll("three"))
		})
	}
}

func TestPoll_WaitsForWorkAndEndsInTime(t *testing.T) {
	g := newRig(t)
	g.runner.close()
	var got pollAnswer
	require.NoError(t, g.runner.post(t.Context(), "/runner/jobs/poll", map[string]any{"runner_url": "http://r", "wait_ms": 1, "max": 1}, &got))
	require.Empty(t, got.Jobs)
	require.NotNil(t, got.Jobs)

	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		gone <- g.runner.post(ctx, "/runner/jobs/poll", map[string]any{"runner_url": "http://r", "wait_ms": 30000, "max": 1}, nil)
	}()
	leave()
	require.Error(t, <-gone)

	found := make(chan error, 1)
	go func() {
		found <- g.runner.post(t.Context(), "/runner/jobs/poll", map[string]any{"runner_url": "http://r", "wait_ms": 30000, "max": 1}, &got)
	}()
	r := admitted(t, g.api)
	require.NoError(t, <-found)
	require.Len(t, got.Jobs, 1, "a poll whose caller left does not swallow the job")
	require.Equal(t, jobJSON{r.job.id, createBox, r.id, payloadJSON{Name: r.id, Image: defaultImage}}, got.Jobs[0])

	for _, bad := range []map[string]any{{}, {"runner_url": "http://r", "max": 0}, {"runner_url": "r", "max": 1}, {"runner_url": "http://r", "max": 1, "wait_ms": 1e6}} {
		require.ErrorContains(t, g.runner.post(t.Context(), "/runner/jobs/poll", bad, nil), "400")
	}
	require.ErrorContains(t, g.runner.post(t.Context(), "/runner/jobs/x/complete", map[string]any{"status": "maybe"}, nil), "400")
	require.NoError(t, g.runner.post(t.Context(), "/runner/jobs/x/complete", map[string]any{"status": "completed"}, nil))
	require.ErrorContains(t, g.runner.post(t.Context(), "/runner/nothing", map[string]any{}, nil), "404")
}

func TestStore_ForgetsOldDestroyedRows(t *testing.T) {
	s := bare(t)
	for range keepDestroyed + 5 {
		r := admitted(t, s)
		_, ok := s.store.complete(r.job.id, "no boot", "")
		require.True(t, ok)
	}
	require.Len(t, s.store.rows, keepDestroyed)
	require.Empty(t, s.store.names)
	require.Empty(t, s.store.jobs)
	require.Empty(t, s.store.ready)
}
