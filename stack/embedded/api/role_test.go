package api

import (
	"bufio"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

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
