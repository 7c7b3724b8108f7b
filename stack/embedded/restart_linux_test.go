package embedded

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/stack"
	"chaos/stack/embedded/bugs"
	"chaos/stack/embedded/sandbox"
)

// says runs a script in a box and returns what it prints.
func says(t *testing.T, s *Stack, box, script string) string {
	t.Helper()
	args, err := json.Marshal(map[string]any{"command": "sh", "args": []string{"-c", script}})
	require.NoError(t, err)
	status, ex, err := call(s, "POST", "/v1/boxes/"+box+"/exec", string(args))
	require.NoError(t, err)
	require.Equal(t, 201, status, ex)
	out, exit := attach(t, s, "/v1/boxes/"+box+"/executions/"+ex["execution_id"].(string)+"/attach")
	require.JSONEq(t, `{"type":"exit","exit_code":0}`, exit)
	return strings.TrimSpace(out)
}

// boxPIDs are the processes of a box that run command.
func boxPIDs(t *testing.T, s *Stack, box, command string) (pids []int) {
	t.Helper()
	left, err := s.Residue(t.Context())
	require.NoError(t, err)
	for _, r := range left {
		if r.BoxID == box && r.PID != 0 && r.Command == command {
			pids = append(pids, r.PID)
		}
	}
	return pids
}

func TestControl_BoxesOutliveTheRunner(t *testing.T) {
	for _, mode := range []sandbox.Mode{sandbox.Namespaces, sandbox.UserNamespaces, sandbox.Plain} {
		t.Run(mode.String(), func(t *testing.T) {
			if best, why := sandbox.Probe(); best > mode {
				t.Skip(why)
			}
			s := begin(t, Options{Sandbox: &mode, SyncInterval: 20 * time.Millisecond})
			c, ctx := ctl(t, s)
			id, err := sleeper(s)
			require.NoError(t, err)
			stopped, err := sleeper(s)
			require.NoError(t, err)
			status, out, err := call(s, "POST", "/v1/boxes/"+stopped+"/stop", "")
			require.NoError(t, err)
			require.Equal(t, 201, status, out)
			require.True(t, eventually(func() bool { return statusOf(t, s, stopped) == "stopped" }))
			says(t, s, id, "echo here >kept")
			status, ex, err := call(s, "POST", "/v1/boxes/"+id+"/exec", `{"command":"sleep","args":["2000"]}`)
			require.NoError(t, err)
			require.Equal(t, 201, status, ex)
			old := "/v1/boxes/" + id + "/executions/" + ex["execution_id"].(string)
			before := boxPIDs(t, s, id, "sleep 2000")
			require.Len(t, before, 1)

			for _, end := range []func(context.Context, stack.Part) error{c.Kill, c.Stop, c.Kill} {
				require.NoError(t, end(ctx, stack.Runner))
				require.Equal(t, before, boxPIDs(t, s, id, "sleep 2000"), "the box goes on without a runner")
				require.NoError(t, c.Start(ctx, stack.Runner))
				require.Equal(t, "here", says(t, s, id, "cat kept"))
				require.Equal(t, before, boxPIDs(t, s, id, "sleep 2000"))
				status, _, err = call(s, "GET", old, "")
				require.NoError(t, err)
				require.Equal(t, 404, status, "executions are forgotten")
				require.Equal(t, "running", statusOf(t, s, id))
				require.Equal(t, "stopped", statusOf(t, s, stopped))
			}
			status, _, err = call(s, "POST", "/v1/boxes/"+id+"/stop", "")
			require.NoError(t, err)
			require.Equal(t, 201, status)
			require.True(t, eventually(func() bool { return statusOf(t, s, id) == "stopped" }))
			require.Empty(t, boxPIDs(t, s, id, "sleep 2000"), "a stop ends what an earlier runner started")
			for _, box := range []string{id, stopped} {
				status, _, err = call(s, "POST", "/v1/boxes/"+box+"/start", "")
				require.NoError(t, err)
				require.Equal(t, 201, status)
				require.NoError(t, c.Kill(ctx, stack.Runner))
				require.NoError(t, c.Start(ctx, stack.Runner))
				status, _, err = call(s, "DELETE", "/v1/boxes/"+box, "")
				require.NoError(t, err)
				require.Equal(t, 204, status)
			}
			require.True(t, eventually(func() bool {
				left, err := s.Residue(t.Context())
				return err == nil && len(left) == 0
			}), "nothing is left of removed boxes")
			_, err = sleeper(s)
			require.NoError(t, err)
			require.NoError(t, c.Kill(ctx, stack.Runner))
			requireNoDeath(t, s)
		})
	}
}

func statusOf(t *testing.T, s *Stack, box string) string {
	t.Helper()
	status, out, err := call(s, "GET", "/v1/boxes/"+box, "")
	require.NoError(t, err)
	require.Equal(t, 200, status)
	return fmt.Sprint(out["status"])
}

func TestControl_NoZombiesOfBoxes(t *testing.T) {
	s := begin(t, Options{})
	c, ctx := ctl(t, s)
	id, err := sleeper(s)
	require.NoError(t, err)
	require.NoError(t, c.Kill(ctx, stack.Runner))
	require.NoError(t, c.Start(ctx, stack.Runner))
	status, _, err := call(s, "DELETE", "/v1/boxes/"+id, "")
	require.NoError(t, err)
	require.Equal(t, 204, status)
	require.True(t, eventually(func() bool {
		text, err := os.ReadFile(procFile(s.PIDs().Keeper, fmt.Sprintf("task/%d/children", s.PIDs().Keeper)))
		want := 2
		if s.PIDs().Journald != 0 {
			want++
		}
		return err == nil && len(strings.Fields(string(text))) <= want
	}))
}

// stuckCreate makes the runner die with the job of a box in its hands, starts it again, and returns the
// box.
func stuckCreate(t *testing.T, s *Stack) string {
	t.Helper()
	c, ctx := ctl(t, s)
	require.NoError(t, c.Freeze(ctx, stack.Runner))
	var caller sync.WaitGroup
	gone, leave := context.WithCancel(ctx)
	caller.Go(func() { create(gone, s) })
	t.Cleanup(func() { leave(); caller.Wait() })
	id := ""
	require.True(t, eventually(func() bool {
		_, out, err := call(s, "GET", "/v1/boxes", "")
		boxes, _ := out["boxes"].([]any)
		for _, b := range boxes {
			if m := b.(map[string]any); m["status"] == "configured" {
				id = fmt.Sprint(m["box_id"])
			}
		}
		return err == nil && id != ""
	}))
	require.NoError(t, c.Kill(ctx, stack.Runner))
	require.NoError(t, c.Start(ctx, stack.Runner))
	_, err := sleeper(s) // a job that comes back is done before this one
	require.NoError(t, err)
	return id
}

// create asks for a box and does not care for the answer.
func create(ctx context.Context, s *Stack) {
	req, err := http.NewRequestWithContext(ctx, "POST", s.URL()+"/v1/boxes", http.NoBody)
	if err != nil {
		return
	}
	req.Header.Set("Authorization", "Bearer "+s.Key())
	if resp, err := http.DefaultClient.Do(req); err == nil {
		resp.Body.Close()
	}
}

func TestControl_JobsOfADeadRunnerComeBack(t *testing.T) {
	s := begin(t, Options{})
	for range 3 {
		id := stuckCreate(t, s)
		require.True(t, eventually(func() bool { return statusOf(t, s, id) == "running" }))
		require.Equal(t, "hello", says(t, s, id, "echo hello"))
	}
}

func TestControl_BugRestartDropsJob(t *testing.T) {
	s := begin(t, Options{Bugs: bugs.Set{bugs.RestartDropsJob: true}})
	seen := false
	for range 10 { // a runner that does not ask at the moment it is frozen gets no job
		if seen = statusOf(t, s, stuckCreate(t, s)) == "configured"; seen {
			break
		}
	}
	require.True(t, seen)
}

func TestControl_BugRestartForgetsBoxes(t *testing.T) {
	s := begin(t, Options{Bugs: bugs.Set{bugs.RestartForgetsBoxes: true}, SyncInterval: 20 * time.Millisecond})
	c, ctx := ctl(t, s)
	id, err := sleeper(s)
	require.NoError(t, err)
	require.NoError(t, c.Kill(ctx, stack.Runner))
	require.NoError(t, c.Start(ctx, stack.Runner))
	require.True(t, eventually(func() bool { return statusOf(t, s, id) == "stopped" }))
	require.Len(t, boxPIDs(t, s, id, "sleep 1000"), 1, "it runs all the same")
	status, _, err := call(s, "DELETE", "/v1/boxes/"+id, "")
	require.NoError(t, err)
	require.Equal(t, 204, status)
	other, err := sleeper(s)
	require.NoError(t, err)
	require.Len(t, boxPIDs(t, s, id, "sleep 1000"), 1)
	require.NotEqual(t, id, other)
}
