package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
)

// background is a program that a script has begun and not ended.
type background struct {
	cmd    *exec.Cmd
	stdout *bufio.Reader
	stderr *buffer
}

// buffer is a bytes.Buffer that may be read while a program writes into it.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// backgroundKey finds the *background of a script.
type backgroundKey struct{}

// begin: "begin program args…" starts a program and lets it run.
func begin(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: begin program args…")
	}
	path, err := exec.LookPath(args[0])
	ts.Check(err)
	b := ts.Value(backgroundKey{}).(*background)
	b.cmd = exec.Command(path, args[1:]...)
	b.cmd.Dir = ts.MkAbs(".")
	for _, k := range []string{"PATH", "HOME", "TMPDIR", "BOXLITE_API_KEY", "GORACE", "XDG_STATE_HOME", "NOTIFY_SOCKET", "WATCHDOG_USEC"} {
		b.cmd.Env = append(b.cmd.Env, k+"="+ts.Getenv(k))
	}
	out, err := b.cmd.StdoutPipe()
	ts.Check(err)
	b.stdout, b.stderr = bufio.NewReader(out), &buffer{}
	b.cmd.Stderr = b.stderr
	ts.Check(b.cmd.Start())
	ts.Defer(func() { b.interrupt() })
}

// awaitErr: "awaiterr PATTERN" waits until the program begun has written this on stderr.
func awaitErr(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: awaiterr PATTERN")
	}
	re, b := compile(ts, args[0]), ts.Value(backgroundKey{}).(*background)
	require.Eventually(ts.Value(testKey{}).(testing.TB), func() bool { return re.MatchString(b.stderr.String()) }, patience, 20*time.Millisecond, "no %s", args[0])
}

// interrupt: "interrupt" does to the program begun what Ctrl-C does, and does not wait for its end.
func interrupt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: interrupt")
	}
	ts.Check(ts.Value(backgroundKey{}).(*background).cmd.Process.Signal(os.Interrupt))
}

// await: "await GLOB" waits for a file.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: await GLOB")
	}
	require.Eventually(ts.Value(testKey{}).(testing.TB), func() bool {
		found, err := filepath.Glob(ts.MkAbs(args[0]))
		return err == nil && len(found) > 0
	}, patience, 20*time.Millisecond, "no %s", args[0])
}

// end: "end CODE" does to the program begun what Ctrl-C does, and checks its exit code. What it has
// printed on stdout and nobody has read is the last stdout, and all of stderr the last stderr.
func end(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: end CODE")
	}
	b := ts.Value(backgroundKey{}).(*background)
	rest, code := b.interrupt()
	_, err := io.WriteString(ts.Stdout(), rest)
	ts.Check(err)
	_, err = io.WriteString(ts.Stderr(), b.stderr.String())
	ts.Check(err)
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// interrupt does nothing to a program that has ended.
func (b *background) interrupt() (rest string, code int) {
	if b.cmd.ProcessState != nil {
		return "", b.cmd.ProcessState.ExitCode()
	}
	_ = b.cmd.Process.Signal(os.Interrupt)
	text, _ := io.ReadAll(b.stdout)
	_ = b.cmd.Wait() // its exit code says it all
	return string(text), b.cmd.ProcessState.ExitCode()
}

// stackUp: "up args…" begins chaos stack up and sets URL, KEY and OTHER_KEY to what it prints.
func stackUp(ts *testscript.TestScript, neg bool, args []string) {
	begin(ts, neg, append([]string{"chaos", "stack", "up", "--json"}, args...))
	var addr struct {
		URL, Key, Journal string
		OtherKey          string `json:"other_key"`
	}
	ts.Check(json.NewDecoder(ts.Value(backgroundKey{}).(*background).stdout).Decode(&addr))
	ts.Setenv("URL", addr.URL)
	ts.Setenv("KEY", addr.Key)
	ts.Setenv("JOURNAL", addr.Journal)
	ts.Setenv("OTHER_KEY", addr.OtherKey)
}
