package model_test

import (
	"bufio"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/model"
)

// signalled runs p in a shell, sends sig once its first line is there, and returns how it ended and
// its standard output.
func signalled(t *testing.T, shell []string, p model.Payload, sig syscall.Signal) (syscall.WaitStatus, string) {
	argv := append(append([]string{}, shell...), p.Argv()[1:]...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = t.TempDir()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	r := bufio.NewReader(out)
	first, err := r.ReadString('\n')
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Signal(sig))
	state, err := cmd.Process.Wait()
	require.NoError(t, err)
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // the command it waited for holds the pipe
	rest, err := io.ReadAll(r)
	require.NoError(t, err)
	return state.Sys().(syscall.WaitStatus), first + string(rest)
}

// TestPayload_SomeSignalsEndEveryShellAtOnce: exit codes are judged by this.
func TestPayload_SomeSignalsEndEveryShellAtOnce(t *testing.T) {
	p := model.Payload{Token: "t-1.e1", Stdout: 4, Sleep: time.Minute}
	for _, shell := range shells() {
		for _, sig := range []syscall.Signal{syscall.SIGABRT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTERM} {
			status, _ := signalled(t, shell, p, sig)
			require.True(t, status.Signaled(), "%v: %v", shell, status)
			require.Equal(t, sig, status.Signal(), "%v", shell)
		}
	}
}

func TestPayload_TheDeafHearNothing(t *testing.T) {
	p := model.Payload{Token: "t-1.e1", Stdout: 4, Exit: 5, Sleep: 50 * time.Millisecond, Deaf: true}
	for _, shell := range shells() {
		status, out := signalled(t, shell, p, syscall.SIGTERM)
		require.Equal(t, 5, status.ExitStatus(), "%v", shell)
		require.Equal(t, string(p.Expected(model.Out)), out, "%v", shell)
	}
}

// TestPayload_NoCommandIsFasterThanItsLeast runs commands that pause for odd times.
func TestPayload_NoCommandIsFasterThanItsLeast(t *testing.T) {
	for _, p := range []model.Payload{{}, {Sleep: 400 * time.Microsecond}, {Sleep: 1900 * time.Microsecond}, {Sleep: 25 * time.Millisecond}, {Watch: 50 * time.Millisecond}, {Watch: time.Millisecond}} {
		began := time.Now()
		require.NoError(t, exec.Command("sh", p.Argv()[1:]...).Run())
		require.GreaterOrEqual(t, time.Since(began), p.Least(), "%+v", p)
		require.LessOrEqual(t, p.Least(), max(p.Duration(), 20*time.Millisecond))
	}
}

func TestPayload_ALimitBoundsHowLongACommandTakes(t *testing.T) {
	p := model.Payload{Sleep: time.Minute, Timeout: time.Second}
	require.Equal(t, 3*time.Second, p.Within(2*time.Second))
	p.Sleep = time.Second / 2
	require.Equal(t, time.Second/2, p.Within(2*time.Second), "a limit that is not reached changes nothing")
	require.Equal(t, time.Second/2, p.Least())
	p.Timeout = 0
	require.Equal(t, time.Second/2, p.Within(2*time.Second))
	require.Zero(t, model.Payload{Binary: "no", Sleep: time.Second}.Least())
	require.True(t, strings.HasPrefix(model.Payload{Deaf: true, Child: true}.Argv()[2], "trap '' TERM\n"), "the child must be deaf, too")
}
