package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/stack/embedded/child"
	"chaos/stack/journal"
)

func TestRole_LivesAsLongAsItsInput(t *testing.T) {
	for _, how := range []string{"end of input", "SIGTERM"} {
		t.Run(how, func(t *testing.T) {
			log := filepath.Join(t.TempDir(), "log")
			cmd := child.Command(Role)
			in, err := cmd.StdinPipe()
			require.NoError(t, err)
			out, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			ended := make(chan error, 1)
			require.NoError(t, json.NewEncoder(in).Encode(Config{Keys: []Key{{keyA, orgA}}, RunnerToken: token, Log: "file:" + log}))
			line, err := bufio.NewReader(out).ReadBytes('\n')
			require.NoError(t, err)
			var ready struct {
				Ready bool   `json:"ready"`
				Addr  string `json:"addr"`
			}
			require.NoError(t, json.Unmarshal(line, &ready))
			require.True(t, ready.Ready)
			a, err := call("", "GET", "http://"+ready.Addr+"/api/health", "")
			require.NoError(t, err)
			require.Equal(t, 200, a.status)
			if how == "SIGTERM" {
				require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
			} else {
				require.NoError(t, in.Close())
			}
			go func() { ended <- cmd.Wait() }()
			require.NoError(t, <-ended)
			entries, _, err := journal.OpenFile(log).Scan(t.Context(), "")
			require.NoError(t, err)
			require.NotEmpty(t, entries)
			require.Equal(t, Identifier, entries[0].Identifier)
			require.Contains(t, entries[0].Message, "listening")
		})
	}
}

// apiProcess starts an API as a process and returns it with its address.
func apiProcess(t *testing.T, cfg Config) (*exec.Cmd, string) {
	cmd := child.Command(Role)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() })
	require.NoError(t, json.NewEncoder(in).Encode(cfg))
	var ready struct {
		Addr string `json:"addr"`
	}
	require.NoError(t, json.NewDecoder(out).Decode(&ready))
	return cmd, ready.Addr
}

// The real thing: a process that is killed over and over while callers work with it.
func TestRole_KilledAndStartedAgain(t *testing.T) {
	cfg := Config{Keys: []Key{{keyA, orgA}}, RunnerToken: token, DataDir: filepath.Join(t.TempDir(), "data"), BoxLimit: 10_000, DatabaseMicros: -1}
	cmd, addr := apiProcess(t, cfg)
	cfg.Listen = addr
	url := "http://" + addr + "/api"
	f := newFakeRunner(t, url)
	t.Cleanup(f.close)
	const callers = 4
	var mu sync.Mutex
	made, maybe := map[string]bool{}, map[string]bool{}
	var all sync.WaitGroup
	ctx, enough := context.WithCancel(t.Context())
	for c := range callers {
		all.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				name := fmt.Sprintf("n%d-%d", c, i)
				a, err := call(keyA, "POST", url+"/v1/boxes", `{"name":"`+name+`"}`)
				mu.Lock()
				switch {
				case err != nil:
					maybe[name] = true
					f.pause() // it is down
				case a.status == 201:
					made[name] = true
				case a.status != 503: // no runner has come yet, ever
					t.Errorf("create: %d %s", a.status, a.raw)
				}
				mu.Unlock()
			}
		})
	}
	for kill := 1; kill <= 5; kill++ {
		require.Eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(made) >= 20*kill }, patience, time.Millisecond)
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
		var again string
		cmd, again = apiProcess(t, cfg)
		require.Equal(t, addr, again)
	}
	enough()
	all.Wait()
	g := &rig{t: t, url: url}
	var left []any
	require.Eventually(t, func() bool { // those whose callers were cut off come to their end, too
		left = nil
		for token := ""; ; {
			a := g.do("GET", "/v1/boxes?pageSize=100&pageToken="+token, "")
			require.Equal(t, 200, a.status, a.raw)
			left = append(left, a.body["boxes"].([]any)...)
			if token, _ = a.body["next_page_token"].(string); token == "" {
				break
			}
		}
		return !slices.ContainsFunc(left, func(b any) bool { return b.(map[string]any)["status"] != "running" })
	}, patience, 5*time.Millisecond)
	for _, b := range left {
		name := b.(map[string]any)["name"].(string)
		require.True(t, made[name] || maybe[name], name)
		delete(made, name)
		require.Equal(t, []string{createBox}, f.kinds(b.(map[string]any)["box_id"].(string)), "it was made once")
	}
	require.Empty(t, made, "boxes that were answered and are lost")
	require.Len(t, f.look(), len(left))
}

func TestRole_BadConfigurationIsAnError(t *testing.T) {
	for _, in := range []string{"", "{", "{}\n", `{"keys":[{"key":"k","org":"o"}],"runner_token":"t","bugs":"nonsense"}` + "\n", `{"keys":[{"key":"k","org":"o"}],"runner_token":"t","log":"nonsense"}` + "\n"} {
		cmd := child.Command(Role)
		w, err := cmd.StdinPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		_, _ = w.Write([]byte(in))
		_ = w.Close()
		var exit *exec.ExitError
		require.ErrorAs(t, cmd.Wait(), &exit)
		require.Equal(t, 1, exit.ExitCode())
	}
}
