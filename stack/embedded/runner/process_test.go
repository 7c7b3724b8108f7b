package runner

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/stack/embedded/child"
)

// process is a runner in a process of its own.
type process struct {
	*harness
	cmd   *exec.Cmd
	stdin io.WriteCloser
	ended chan error
}

func startProcess(t *testing.T, change ...func(*Config)) *process {
	t.Helper()
	h, cfg := newHarness(t)
	for _, f := range change {
		f(&cfg)
	}
	cmd := child.Command(Role)
	// A seeded bug may be a data race by design; it is not this test's to report.
	cmd.Env = append(cmd.Env, "GORACE=exitcode=0 log_path=/dev/null")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	p := &process{harness: h, cmd: cmd, stdin: stdin, ended: make(chan error, 1)}
	t.Cleanup(func() { _ = cmd.Process.Kill() })

	require.NoError(t, json.NewEncoder(stdin).Encode(cfg))
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	require.NoError(t, err)
	var ready struct {
		Ready bool   `json:"ready"`
		Addr  string `json:"addr"`
	}
	require.NoError(t, json.Unmarshal(line, &ready))
	require.True(t, ready.Ready)
	h.addr = ready.Addr
	go func() { p.ended <- cmd.Wait() }()
	return p
}

// marked returns the processes that carry the mark of the stack in their environment.
func marked(stack string) (pids []string) {
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, f := range files {
		env, _ := os.ReadFile(f)
		if strings.Contains("\x00"+string(env), "\x00"+stackVar+"="+stack+"\x00") {
			pids = append(pids, filepath.Base(filepath.Dir(f)))
		}
	}
	return pids
}

// However the runner ends, no process of its boxes is left.
func TestEndOfTheRunnerProcess(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(*process)
		fine bool
	}{
		{"end of stdin", func(p *process) { _ = p.stdin.Close() }, true},
		{"SIGTERM", func(p *process) { _ = p.cmd.Process.Signal(syscall.SIGTERM) }, true},
		{"SIGKILL", func(p *process) { _ = p.cmd.Process.Kill() }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := startProcess(t)
			stack := "stack-" + t.Name()
			box := p.box()
			c1 := p.attach(box, p.exec(box, sh("setsid sleep 60 & trap '' TERM; echo up; sleep 60")))
			var s seen
			until(t, c1, &s, "up\n")
			p.box()
			require.GreaterOrEqual(t, len(marked(stack)), 4, "two inits, a shell, a sleep")
			_ = p.cmd.Process.Signal(syscall.SIGINT) // Ctrl-C is the parent's business

			rest := make(chan seen, 1)
			go func() { rest <- drain(c1) }()
			c.end(p)
			err := receive(t, p.ended)
			require.Equal(t, c.fine, err == nil, "%v", err)
			if c.fine {
				clean(t, receive(t, rest), 137)
				require.Empty(t, marked(stack))
				left, err := os.ReadDir(filepath.Join(p.dir, "boxes"))
				require.NoError(t, err)
				require.Empty(t, left)
			}
			require.Eventually(t, func() bool { return len(marked(stack)) == 0 }, deadline, 5*time.Millisecond)
		})
	}
}

func TestBadConfiguration(t *testing.T) {
	for _, in := range []string{"", "{\n", "{}\n", `{"token":"t","api_url":"http://x","api_token":"a","dir":"/nonexistent/\u0000"}` + "\n",
		`{"token":"t","api_url":"http://x","api_token":"a","dir":"` + t.TempDir() + `","bugs":"no-such-bug"}` + "\n"} {
		cmd := child.Command(Role)
		cmd.Stdin = strings.NewReader(in)
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, in)
		require.Equal(t, 1, exit.ExitCode())
		require.True(t, strings.HasPrefix(string(out), "chaos runner: "), fmt.Sprintf("%q", out))
	}
}

// A runner lives long: what has ended must not keep descriptors.
func TestDescriptorsAreGivenBack(t *testing.T) {
	h := start(t)
	open := func() int {
		fds, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		return len(fds)
	}
	box := h.box()
	clean(t, h.run(box, sh("echo warm")), 0)
	client.CloseIdleConnections()
	before := open()
	for i := range 30 {
		body := sh("echo x; exit 3")
		body["tty"] = i%2 == 0
		clean(t, h.run(box, body), 3)
		h.ended(box, h.exec(box, body)) // nobody attaches
	}
	other := h.box()
	h.exec(other, sh("sleep 60"))
	h.mustJob("DESTROY_BOX", other)
	// The runner may keep a few connections to its API more than before, each with two ends in here; what
	// executions leak would be 60 and more.
	const connections = 5
	require.Eventually(t, func() bool { client.CloseIdleConnections(); return open() <= before+2*connections }, deadline, 5*time.Millisecond)
}
