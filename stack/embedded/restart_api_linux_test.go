package embedded

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/stack"
	"chaos/stack/embedded/bugs"
)

// logged counts the lines of the journal that contain all of the texts.
func logged(t *testing.T, s *Stack, texts ...string) (n int) {
	t.Helper()
	require.NoError(t, s.Journal().Sync(t.Context()))
	entries, _, err := s.Journal().Scan(t.Context(), "")
	require.NoError(t, err)
	for _, e := range entries {
		all := true
		for _, text := range texts {
			all = all && strings.Contains(e.Message, text)
		}
		if all {
			n++
		}
	}
	return n
}

func TestControl_RecordsOutliveTheAPI(t *testing.T) {
	for name, end := range map[string]func(stack.Control, context.Context) error{
		"killed":  func(c stack.Control, ctx context.Context) error { return c.Kill(ctx, stack.API) },
		"stopped": func(c stack.Control, ctx context.Context) error { return c.Stop(ctx, stack.API) },
	} {
		t.Run(name, func(t *testing.T) {
			s := begin(t, Options{})
			c, ctx := ctl(t, s)
			on, err := sleeper(s)
			require.NoError(t, err)
			off, err := sleeper(s)
			require.NoError(t, err)
			require.Equal(t, "kept", says(t, s, off, "echo kept | tee /root/file"))
			status, _, err := call(s, "POST", "/v1/boxes/"+off+"/stop", "")
			require.NoError(t, err)
			require.Equal(t, 201, status)
			require.NoError(t, end(c, ctx))
			require.NoError(t, c.Start(ctx, stack.API))
			require.True(t, eventually(func() bool { return statusOf(t, s, off) == "stopped" }))
			require.Equal(t, "running", statusOf(t, s, on))
			require.Len(t, boxPIDs(t, s, on, "sleep 1000"), 1)
			status, _, err = call(s, "POST", "/v1/boxes/"+off+"/start", "")
			require.NoError(t, err)
			require.Equal(t, 201, status)
			require.Equal(t, "kept", says(t, s, off, "cat /root/file"))
			requireNoDeath(t, s)
		})
	}
}

// orphanedCreate kills the API while the runner has the job of a new box, lets the runner do it meanwhile if
// alone, and starts the API again. It returns the box, "" if the runner did not ask for jobs at that moment.
func orphanedCreate(t *testing.T, s *Stack, alone bool) string {
	t.Helper()
	c, ctx := ctl(t, s)
	require.NoError(t, c.Freeze(ctx, stack.Runner))
	var caller sync.WaitGroup
	gone, leave := context.WithCancel(ctx)
	caller.Go(func() { create(gone, s) })
	defer caller.Wait()
	defer leave()
	id := ""
	require.True(t, eventually(func() bool { id = configured(s); return id != "" }))
	require.NoError(t, c.Kill(ctx, stack.API))
	require.NoError(t, c.Thaw(ctx, stack.Runner))
	has := logged(t, s, "Executing job", id) > 0 || alone && seenSoon(t, s, "Executing job", id)
	if has && alone {
		require.True(t, eventually(func() bool { return logged(t, s, "Job completed successfully", id) > 0 }))
	}
	require.NoError(t, c.Start(ctx, stack.API))
	if !has && alone {
		return ""
	}
	return id
}

// seenSoon reports whether the journal gets such a line in a moment.
func seenSoon(t *testing.T, s *Stack, texts ...string) bool {
	for range 40 {
		if logged(t, s, texts...) > 0 {
			return true
		}
	}
	return false
}

// configured returns a box that is being made, "" if there is none.
func configured(s *Stack) string {
	_, out, err := call(s, "GET", "/v1/boxes", "")
	boxes, _ := out["boxes"].([]any)
	for _, b := range boxes {
		if m := b.(map[string]any); err == nil && m["status"] == "configured" {
			return m["box_id"].(string)
		}
	}
	return ""
}

func TestControl_JobsOutliveTheAPI(t *testing.T) {
	s := begin(t, Options{})
	for _, alone := range []bool{true, false, true, false} {
		id := orphanedCreate(t, s, alone)
		if id == "" {
			continue
		}
		require.True(t, eventually(func() bool { return statusOf(t, s, id) == "running" }))
		require.Equal(t, "hello", says(t, s, id, "echo hello"))
		require.Equal(t, 1, logged(t, s, "created box", id))
	}
}

func TestControl_BugCallbackLost(t *testing.T) {
	s := begin(t, Options{Bugs: bugs.Set{bugs.CallbackLost: true}})
	seen := false
	for try := 0; try < 10 && !seen; try++ {
		id := orphanedCreate(t, s, true)
		_, err := sleeper(s) // what comes back is done before this
		require.NoError(t, err)
		seen = id != "" && statusOf(t, s, id) == "configured"
	}
	require.True(t, seen)
}

func TestControl_BugReplayDoublesCreate(t *testing.T) {
	s := begin(t, Options{Bugs: bugs.Set{bugs.ReplayDoublesCreate: true}})
	// The completion may come before the job is asked for again; how often depends on the machine.
	for n := 1; n <= 300; n++ {
		id := orphanedCreate(t, s, true)
		if id == "" {
			continue
		}
		require.True(t, eventually(func() bool { return statusOf(t, s, id) == "running" }))
		_, err := sleeper(s)
		require.NoError(t, err)
		if logged(t, s, "created box", id) == 2 {
			t.Logf("made twice at try %d", n)
			return
		}
	}
	require.Fail(t, "never made twice")
}

func TestControl_BugRestartForgetsStop(t *testing.T) {
	s := begin(t, Options{Bugs: bugs.Set{bugs.RestartForgetsStop: true}})
	c, ctx := ctl(t, s)
	require.True(t, eventually(func() bool { // it may have been written in time
		id, err := sleeper(s)
		require.NoError(t, err)
		status, _, err := call(s, "POST", "/v1/boxes/"+id+"/stop", "")
		require.NoError(t, err)
		require.Equal(t, 201, status)
		require.NoError(t, c.Kill(ctx, stack.API))
		require.NoError(t, c.Start(ctx, stack.API))
		_, err = sleeper(s)
		require.NoError(t, err)
		return statusOf(t, s, id) == "running" && len(boxPIDs(t, s, id, "sleep 1000")) == 1
	}))
}
