//go:build linux

package sandbox

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/stack/embedded/child"
)

const (
	// unprivilegedEnv is set in the second run of the tests, as a plain user.
	unprivilegedEnv = "SANDBOX_TEST_UNPRIVILEGED"
	nobody          = 65534
	patience        = 60 * time.Second
	tick            = 5 * time.Millisecond
	// noRaceDelay keeps a race-enabled init from waiting a second before it exits.
	noRaceDelay = "GORACE=atexit_sleep_ms=0"
)

func TestMain(m *testing.M) {
	child.Dispatch()
	os.Exit(m.Run())
}

// TestUnprivileged runs all tests of the package again as a user without any privilege.
func TestUnprivileged(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("already a plain user")
	}
	dir, err := os.MkdirTemp("", "sandbox-test-")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chown(dir, nobody, nobody))
	args := []string{"-test.run=.", "-test.v", "-test.timeout=5m"}
	if testing.Short() {
		args = append(args, "-test.short")
	}
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), unprivilegedEnv+"=1", "TMPDIR="+dir, "HOME="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: TestExec_ExitCode/no_isolation")
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "--- SKIP") {
			t.Log(strings.TrimSpace(line))
		}
	}
}

var works = sync.OnceValue(func() map[Mode]error {
	return map[Mode]error{Namespaces: try(Namespaces), UserNamespaces: try(UserNamespaces), Plain: try(Plain)}
})

// inModes runs f in each of modes, or in all, that this machine and user allow.
func inModes(t *testing.T, f func(t *testing.T, m Mode), modes ...Mode) {
	t.Helper()
	if len(modes) == 0 {
		modes = []Mode{Namespaces, UserNamespaces, Plain}
	}
	for _, m := range modes {
		t.Run(m.String(), func(t *testing.T) {
			if err := works()[m]; err != nil {
				if m == Plain {
					require.NoError(t, err)
				}
				t.Skip(err)
			}
			f(t, m)
		})
	}
}

// mark is an environment entry that no other process has.
func mark() string { return "SANDBOX_TEST=" + rand.Text() }

func start(t testing.TB, cfg Config) *Box {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = filepath.Join(t.TempDir(), "box, with: odd=name")
	}
	cfg.Env = append(slices.Clip(cfg.Env), noRaceDelay)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	b, err := Start(ctx, cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := b.Kill(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func begin(t testing.TB, b *Box, spec Spec) *Process {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	p, err := b.Exec(ctx, spec)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p
}

func sh(script string) Spec { return Spec{Argv: []string{"sh", "-c", script}} }

// result is what came of a command.
type result struct {
	out, err string
	code     int
}

// finish reads the streams to the end and waits.
func finish(p *Process) (result, error) {
	var out, errOut bytes.Buffer
	errs := make(chan error, 2)
	go func() { errs <- p.Pump(p.Stdout, func(b []byte) { out.Write(b) }) }()
	go func() {
		if p.Stderr == nil {
			errs <- nil
			return
		}
		errs <- p.Pump(p.Stderr, func(b []byte) { errOut.Write(b) })
	}()
	for range 2 {
		if err := <-errs; err != nil {
			return result{}, fmt.Errorf("pump: %w", err)
		}
	}
	select {
	case <-p.Exited():
	case <-time.After(patience):
		return result{}, fmt.Errorf("process %d did not exit", p.PID)
	}
	return result{out.String(), errOut.String(), p.ExitCode()}, nil
}

func run(t testing.TB, b *Box, spec Spec) result {
	t.Helper()
	p := begin(t, b, spec)
	defer p.Close()
	r, err := finish(p)
	require.NoError(t, err)
	return r
}

// output runs a script that must succeed and returns what it printed, trimmed.
func output(t testing.TB, b *Box, script string) string {
	t.Helper()
	r := run(t, b, sh(script))
	require.Zero(t, r.code, "%s%s", r.out, r.err)
	return strings.TrimSpace(r.out)
}

// expect reads p's output until it contains want.
func expect(t testing.TB, p *Process, want string) string {
	t.Helper()
	require.NoError(t, p.Stdout.SetReadDeadline(time.Now().Add(patience)))
	var got bytes.Buffer
	for buf := make([]byte, 4096); !strings.Contains(got.String(), want); {
		n, err := p.Stdout.Read(buf)
		got.Write(buf[:n])
		require.NoError(t, err, "waiting for %q, have %q", want, got.String())
	}
	require.NoError(t, p.Stdout.SetReadDeadline(time.Time{}))
	return got.String()
}

func await(t testing.TB, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		require.FailNow(t, "timed out: "+what)
	}
}

func living(t testing.TB, mark string) []int {
	t.Helper()
	pids, err := marked(mark)
	require.NoError(t, err)
	return pids
}

// awaitLiving polls: a process has no environment for a moment while it executes another program.
func awaitLiving(t *testing.T, mark string, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return len(living(t, mark)) == n }, patience, tick)
}

func write(t testing.TB, w io.Writer, s string) {
	t.Helper()
	_, err := io.WriteString(w, s)
	require.NoError(t, err)
}
