package embedded

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"chaos/stack/embedded/bugs"
	"chaos/stack/embedded/child"
	"chaos/stack/embedded/sandbox"
)

const patience = 30 * time.Second

// starterRole is a process that starts a stack, says where, makes a box with a command in it, and
// waits to be killed.
const starterRole = "test-starter"

// whereabouts is what the starter prints.
type whereabouts struct {
	ID   string `json:"id"`
	Dir  string `json:"dir"`
	PIDs PIDs   `json:"pids"`
}

func TestMain(m *testing.M) {
	child.Register(starterRole, func(args []string) int {
		s, err := Start(context.Background(), Options{Dir: args[0]})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		id, err := sleeper(s)
		if err != nil {
			fmt.Fprintln(os.Stderr, id, err)
			return 1
		}
		if err := json.NewEncoder(os.Stdout).Encode(whereabouts{s.order.ID, s.Dir(), s.PIDs()}); err != nil {
			return 1
		}
		select {}
	})
	child.Dispatch()
	os.Exit(m.Run())
}

// call makes a request with the key of the first organization.
func call(s *Stack, method, path, body string) (int, map[string]any, error) {
	return callAs(s.Key(), method, s.URL()+path, body)
}

func callAs(key, method, url, body string) (int, map[string]any, error) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	var out map[string]any
	_ = json.Unmarshal(raw, &out) // 204 has none
	return resp.StatusCode, out, err
}

// sleeper makes a box that runs a long command.
func sleeper(s *Stack) (string, error) {
	status, out, err := call(s, "POST", "/v1/boxes", "")
	if err != nil || status != 201 {
		return "", fmt.Errorf("create: %d %v %w", status, out, err)
	}
	id := out["box_id"].(string)
	status, out, err = call(s, "POST", "/v1/boxes/"+id+"/exec", `{"command":"sleep","args":["1000"]}`)
	if err != nil || status != 201 {
		return id, fmt.Errorf("exec: %d %v %w", status, out, err)
	}
	return id, nil
}

// shortDir is t.TempDir for sockets, whose paths may not be long.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "e")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.Remove(dir), "it is empty again") })
	return dir
}

func begin(t *testing.T, o Options) *Stack {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	o.Dir = shortDir(t)
	s, err := Start(ctx, o)
	require.NoError(t, err)
	t.Cleanup(func() { end(t, s) })
	return s
}

func end(t *testing.T, s *Stack) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(t, s.Stop(ctx))
	requireNothingLeft(t, whereabouts{s.order.ID, s.Dir(), s.PIDs()})
}

// requireNothingLeft waits until no process, file or mount of a stack is there.
func requireNothingLeft(t *testing.T, w whereabouts) {
	t.Helper()
	left := func() string {
		for _, v := range []string{stackVar, serviceVar} {
			found, err := marked(v, w.ID)
			if err != nil || len(found) > 0 {
				return fmt.Sprint(found, err)
			}
		}
		for _, pid := range []int{w.PIDs.Keeper, w.PIDs.API, w.PIDs.Runner, w.PIDs.Journald} {
			if pid != 0 && alive(pid) {
				return fmt.Sprint("process ", pid, " ", commandOf(pid))
			}
		}
		if _, err := os.Stat(w.Dir); !os.IsNotExist(err) {
			return fmt.Sprint(w.Dir, " ", err)
		}
		mounts, err := os.ReadFile("/proc/self/mounts")
		if err != nil || strings.Contains(string(mounts), w.Dir) {
			return fmt.Sprint("mounts ", err)
		}
		return ""
	}
	if !eventually(func() bool { return left() == "" }) {
		require.Empty(t, left())
	}
}

// eventually is require.Eventually without the test.
func eventually(ok func() bool) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		if ok() {
			return true
		}
	}
	return ok()
}

func TestStack_RunsACommandAndLeavesItsTrail(t *testing.T) {
	for _, file := range []bool{false, true} {
		t.Run(fmt.Sprintf("file journal %v", file), func(t *testing.T) {
			s := begin(t, Options{ForceFileJournal: file})
			t.Log(s.Notes())
			require.Len(t, s.Notes(), 3)
			status, box, err := call(s, "POST", "/v1/"+Org+"/boxes", `{"name":"n"}`)
			require.NoError(t, err)
			require.Equal(t, 201, status, box)
			id := box["box_id"].(string)
			status, _, err = callAs(s.OtherKey(), "GET", s.URL()+"/v1/"+OtherOrg+"/boxes/"+id, "")
			require.NoError(t, err)
			require.Equal(t, 404, status)
			status, ex, err := call(s, "POST", "/v1/boxes/n/exec", `{"command":"sh","args":["-c","echo hello; exit 3"]}`)
			require.NoError(t, err)
			require.Equal(t, 201, status, ex)
			out, code := attach(t, s, "/v1/boxes/n/executions/"+ex["execution_id"].(string)+"/attach")
			require.Equal(t, "hello\n", out)
			require.JSONEq(t, `{"type":"exit","exit_code":3}`, code)
			status, _, err = call(s, "DELETE", "/v1/boxes/n", "")
			require.NoError(t, err)
			require.Equal(t, 204, status)
			require.True(t, eventually(func() bool {
				left, err := s.Residue(t.Context())
				return err == nil && len(left) == 0
			}))
			text := trail(t, s)
			for _, want := range []string{
				"boxlite-runner: created box id=", "name=" + id, "job_type=CREATE_BOX", "job_type=DESTROY_BOX",
				"execution_id=" + ex["execution_id"].(string), "boxlite-api: exec forwarded box=" + id,
			} {
				require.Contains(t, text, want)
			}
		})
	}
}

// trail is the whole journal as text.
func trail(t *testing.T, s *Stack) string {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, s.Journal().Sync(ctx))
	entries, _, err := s.Journal().Scan(ctx, "")
	require.NoError(t, err)
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, "%s: %s\n", e.Identifier, e.Message)
	}
	return b.String()
}

// attach returns the standard output and the exit frame of an execution.
func attach(t *testing.T, s *Stack, path string) (stdout, exit string) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, _, err := websocket.Dial(ctx, s.URL()+path, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + s.Key()}}})
	require.NoError(t, err)
	defer c.CloseNow()
	for {
		kind, data, err := c.Read(ctx)
		if err != nil {
			require.Equal(t, websocket.StatusNormalClosure, websocket.CloseStatus(err), err)
			return stdout, exit
		}
		if kind == websocket.MessageText {
			exit = string(data)
		} else if data[0] == 1 {
			stdout += string(data[1:])
		}
	}
}

func TestStack_ResidueShowsProcessesAndDirectoriesOfBoxes(t *testing.T) {
	s := begin(t, Options{})
	left, err := s.Residue(t.Context())
	require.NoError(t, err)
	require.Empty(t, left)
	id, err := sleeper(s)
	require.NoError(t, err)
	left, err = s.Residue(t.Context())
	require.NoError(t, err)
	var commands, paths []string
	for _, r := range left {
		require.Equal(t, id, r.BoxID)
		if r.PID != 0 {
			commands = append(commands, r.Command)
		} else {
			paths = append(paths, r.Path)
		}
	}
	require.Contains(t, commands, "sleep 1000")
	require.Len(t, paths, 1)
	require.DirExists(t, paths[0])
}

func TestStack_StartAndStopManyTimes(t *testing.T) {
	for i := range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		s, err := Start(ctx, Options{Dir: shortDir(t), ForceFileJournal: i%2 == 1})
		require.NoError(t, err)
		_, err = sleeper(s)
		require.NoError(t, err)
		require.NoError(t, s.Stop(ctx))
		require.NoError(t, s.Stop(ctx), "a second stop is harmless")
		requireNothingLeft(t, whereabouts{s.order.ID, s.Dir(), s.PIDs()})
		select {
		case err := <-s.Dead():
			require.NoError(t, err, "an ordered end is no death")
		default:
		}
		cancel()
	}
}

func TestStack_CallerIsKilled(t *testing.T) {
	cmd := child.Command(starterRole, shortDir(t))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var w whereabouts
	line, err := bufio.NewReader(out).ReadBytes('\n')
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(line, &w))
	found, err := marked(stackVar, w.ID)
	require.NoError(t, err)
	require.NotEmpty(t, found, "there is something to leave behind")
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	requireNothingLeft(t, w)
}

func TestStack_KeeperIsKilled(t *testing.T) {
	s := begin(t, Options{})
	_, err := sleeper(s)
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(s.PIDs().Keeper, syscall.SIGKILL))
	require.ErrorContains(t, <-s.Dead(), "keeper ended: signal: killed")
	require.True(t, eventually(func() bool { return !alive(s.PIDs().API) && !alive(s.PIDs().Runner) }), "they end without anybody's help")
	found, err := marked(stackVar, s.order.ID)
	require.NoError(t, err)
	require.Empty(t, found)
}

func TestStack_DeathOfAPartIsReported(t *testing.T) {
	for _, part := range []string{"api", "runner", "journald"} {
		t.Run(part, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			s, err := Start(ctx, Options{Dir: shortDir(t)})
			require.NoError(t, err)
			_, err = sleeper(s)
			require.NoError(t, err)
			pid := map[string]int{"api": s.PIDs().API, "runner": s.PIDs().Runner, "journald": s.PIDs().Journald}[part]
			if pid == 0 {
				require.NoError(t, s.Stop(ctx))
				t.Skip("no journald on this machine")
			}
			require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
			require.ErrorContains(t, <-s.Dead(), part+" ended")
			_ = s.Stop(ctx) // may complain about what it found
			requireNothingLeft(t, whereabouts{s.order.ID, s.Dir(), s.PIDs()})
		})
	}
}

func TestStart_FailuresLeaveNothing(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := Start(ctx, Options{Dir: "/no/such/directory"})
	require.ErrorContains(t, err, "/no/such/directory")

	dir := shortDir(t)
	_, err = Start(ctx, Options{Dir: dir, Bugs: bugs.Set{"no-such-bug": true}})
	require.ErrorContains(t, err, "no-such-bug")
	gone, leave := context.WithCancel(ctx)
	leave()
	_, err = Start(gone, Options{Dir: dir})
	require.ErrorIs(t, err, context.Canceled)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestStart_OptionsReachTheStack(t *testing.T) {
	plain := sandbox.Plain
	s := begin(t, Options{
		Sandbox: &plain, BoxLimit: 1, CreateDelay: 50 * time.Millisecond, SyncInterval: 50 * time.Millisecond,
		Bugs: bugs.Set{bugs.SizeCoerced: true},
	})
	require.Contains(t, strings.Join(s.Notes(), "\n"), "no isolation (as ordered)")
	require.Equal(t, "size-coerced", s.Bugs().String())
	status, box, err := call(s, "POST", "/v1/boxes", `{"cpus":999}`)
	require.NoError(t, err)
	require.Equal(t, 201, status)
	status, _, err = call(s, "POST", "/v1/boxes", "")
	require.NoError(t, err)
	require.Equal(t, 429, status)
	// A box that dies by itself is found out by the next report.
	id := box["box_id"].(string)
	left, err := s.Residue(t.Context())
	require.NoError(t, err)
	for _, r := range left {
		if r.PID != 0 {
			require.NoError(t, syscall.Kill(r.PID, syscall.SIGKILL))
		}
	}
	require.True(t, eventually(func() bool {
		_, out, err := call(s, "GET", "/v1/boxes/"+id, "")
		return err == nil && out["status"] == "stopped"
	}))
}
