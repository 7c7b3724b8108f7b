//go:build linux

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestExec_ExitCode(t *testing.T) {
	inModes(t, func(t *testing.T, m Mode) {
		b := start(t, Config{Mode: m})
		for script, want := range map[string]int{
			"true": 0, "exit 1": 1, "exit 42": 42, "exit 255": 255,
			"kill -TERM $$": 143, "kill -KILL $$": 137, "kill -HUP $$": 129, "kill -INT $$": 130, "kill -PIPE $$": 141,
		} {
			require.Equal(t, want, run(t, b, sh(script)).code, script)
		}
	})
}

func TestExec_Streams(t *testing.T) {
	inModes(t, func(t *testing.T, m Mode) {
		b := start(t, Config{Mode: m})
		p := begin(t, b, sh("cat; echo to stderr >&2; exit 3"))
		write(t, p.Stdin, "through stdin")
		require.NoError(t, p.Stdin.Close())
		r, err := finish(p)
		require.NoError(t, err)
		require.Equal(t, result{"through stdin", "to stderr\n", 3}, r)
	})
}

// Short commands exit while their output is still in the pipe; none of it may be lost.
func TestExec_OutputIsComplete(t *testing.T) {
	const runs, clients, lines = 200, 8, 300
	inModes(t, func(t *testing.T, m Mode) {
		b := start(t, Config{Mode: m})
		script := fmt.Sprintf("i=0; while [ $i -lt %d ]; do echo $1 out $i; echo $1 err $i >&2; i=$((i+1)); done", lines)
		next := make(chan int)
		go func() {
			defer close(next)
			for i := range runs {
				next <- i
			}
		}()
		var wg sync.WaitGroup
		for range clients {
			wg.Go(func() {
				for i := range next {
					if err := checkWriter(b, script, fmt.Sprintf("run%d", i), lines, i%3 == 0); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	})
}

func checkWriter(b *Box, script, token string, lines int, late bool) error {
	p, err := b.Exec(context.Background(), Spec{Argv: []string{"sh", "-c", script, "sh", token}})
	if err != nil {
		return err
	}
	defer p.Close()
	if late {
		<-p.Exited() // all of it fits the pipe
	}
	r, err := finish(p)
	if err != nil {
		return err
	}
	var out, errOut strings.Builder
	for i := range lines {
		fmt.Fprintf(&out, "%s out %d\n", token, i)
		fmt.Fprintf(&errOut, "%s err %d\n", token, i)
	}
	if want := (result{out.String(), errOut.String(), 0}); r != want {
		return fmt.Errorf("%s: %d and %d bytes with code %d, want %d and %d", token, len(r.out), len(r.err), r.code, len(want.out), len(want.err))
	}
	return nil
}

// A background process keeps the pipes open, silent or writing for ever: the exec ends anyway.
func TestExec_BackgroundProcessHoldsPipes(t *testing.T) {
	inModes(t, func(t *testing.T, m Mode) {
		b := start(t, Config{Mode: m})
		r := run(t, b, sh("sleep 1000 & echo done"))
		require.Equal(t, result{"done\n", "", 0}, r)
		r = run(t, b, sh("echo first; yes 2>/dev/null & exit 4"))
		require.Equal(t, 4, r.code)
		require.Contains(t, r.out, "first\n")
	})
}

// A background process that writes as fast as drain reads cannot hold it up for ever.
func TestDrain_IsBounded(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	write(t, w, "never empty")
	total := 0
	require.NoError(t, drain(r, make([]byte, 4096), func(b []byte) {
		total += len(b)
		if total < 10<<20 {
			_, _ = w.Write(b)
		}
	}))
	require.Less(t, total, 2<<20)
}

func TestReadAvailable(t *testing.T) {
	inModes(t, func(t *testing.T, m Mode) {
		b := start(t, Config{Mode: m})
		p := begin(t, b, sh("read x; echo got $x; read x; exit 0"))
		buf := make([]byte, 100)
		_, err := ReadAvailable(p.Stdout, buf)
		require.ErrorIs(t, err, ErrWouldBlock)
		write(t, p.Stdin, "it\n")
		require.Equal(t, "got it\n", expect(t, p, "\n"))
		write(t, p.Stdin, "\n")
		await(t, "exit", p.Exited())
		_, err = ReadAvailable(p.Stdout, buf)
		require.ErrorIs(t, err, io.EOF)
		p.Close()
		_, err = ReadAvailable(p.Stdout, buf)
		require.ErrorIs(t, err, os.ErrClosed)
	})
}

func TestExec_Environment(t *testing.T) {
	inModes(t, func(t *testing.T, m Mode) {
		b := start(t, Config{Mode: m, Env: []string{"A=box", "B=box", "GOMAXPROCS=64"}})
		spec := Spec{Argv: []string{"env"}, Env: []string{"B=exec", "C=a=b", "C=last"}}
		var got []string
		for line := range strings.Lines(run(t, b, spec).out) {
			if !strings.HasPrefix(line, tokenEnv+"=") && line != noRaceDelay+"\n" {
				got = append(got, strings.TrimSpace(line))
			}
		}
		require.ElementsMatch(t, []string{"A=box", "B=exec", "C=last", "GOMAXPROCS=64"}, got)
	})
}

func TestExec_StartErrors(t *testing.T) {
	inModes(t, func(t *testing.T, m Mode) {
		dir := filepath.Join(t.TempDir(), "box")
		b := start(t, Config{Mode: m, Dir: dir})
		output(t, b, `cd "$1"; true`)
		for name, text := range map[string]string{
			"plain": "no program", "noshebang": "#!/no/such/interpreter\n", "binary": "\x00\x01\x02\x03",
		} {
			perm := os.FileMode(0o755)
			if name == "plain" {
				perm = 0o644
			}
			require.NoError(t, os.WriteFile(filepath.Join(dir, "workspace", name), []byte(text), perm))
		}
		long := strings.Repeat("x", 200<<10)
		for name, c := range map[string]struct {
			spec Spec
			kind Kind
			msg  string
		}{
			"missing in PATH":     {Spec{Argv: []string{"no-such-program"}}, KindNotFound, "executable 'no-such-program' not found in $PATH"},
			"not in this PATH":    {Spec{Argv: []string{"sh"}, Env: []string{"PATH=/nowhere:/etc"}}, KindNotFound, "executable 'sh' not found in $PATH"},
			"missing path":        {Spec{Argv: []string{"/no/such"}}, KindNotFound, "executable '/no/such' not found"},
			"empty name":          {Spec{Argv: []string{""}}, KindNotFound, "executable '' not found in $PATH"},
			"no interpreter":      {Spec{Argv: []string{"./noshebang"}, Dir: "/workspace"}, KindNotFound, "no such file or directory"},
			"missing directory":   {Spec{Argv: []string{"true"}, Dir: "/workspace/none"}, KindBadDir, "working directory '/workspace/none' does not exist"},
			"directory is a file": {Spec{Argv: []string{"true"}, Dir: "/workspace/plain"}, KindBadDir, "not a directory"},
			"not executable":      {Spec{Argv: []string{"./plain"}, Dir: "/workspace"}, KindPermission, "permission denied"},
			"in PATH, not executable": {
				Spec{Argv: []string{"plain"}, Dir: "/workspace", Env: []string{"PATH=/nowhere:."}}, KindPermission, "permission denied",
			},
			"a directory":     {Spec{Argv: []string{"/etc"}}, KindPermission, "is a directory"},
			"not a program":   {Spec{Argv: []string{"./binary"}, Dir: "/workspace"}, KindInvalid, "exec format error"},
			"no command":      {Spec{}, KindInvalid, "empty command"},
			"NUL in argument": {Spec{Argv: []string{"echo", "a\x00b"}}, KindInvalid, "invalid argument"},
			"long argument":   {Spec{Argv: []string{"echo", long}}, KindInvalid, "argument list too long"},
			"absurd argument": {Spec{Argv: []string{"echo", strings.Repeat("x", maxArgs+1)}}, KindInvalid, "argument list too long"},
		} {
			for _, tty := range []bool{false, true} {
				c.spec.TTY = tty
				_, err := b.Exec(context.Background(), c.spec)
				var start *StartError
				require.True(t, errors.As(err, &start), "%s: %v", name, err)
				require.Equal(t, c.kind, start.Kind, "%s: %v", name, err)
				require.Contains(t, start.Msg, c.msg, name)
			}
		}
		require.Equal(t, 0, run(t, b, sh("true")).code, "the box still works")
	})
}

func TestExec_LooksUpInTheBox(t *testing.T) {
	inModes(t, func(t *testing.T, m Mode) {
		dir := filepath.Join(t.TempDir(), "box")
		b := start(t, Config{Mode: m, Dir: dir})
		require.NoError(t, os.WriteFile(filepath.Join(dir, "workspace", "mine"), []byte("#!/bin/sh\necho mine in $(basename $(pwd))\n"), 0o755))
		for _, spec := range []Spec{
			{Argv: []string{"mine"}, Dir: "/workspace", Env: []string{"PATH=/nowhere:.:/usr/bin:/bin"}},
			{Argv: []string{"./mine"}, Dir: "/workspace"},
			{Argv: []string{"../workspace/mine"}},
		} {
			want := "workspace"
			if spec.Dir == "" {
				want = "root"
			}
			require.Equal(t, result{"mine in " + want + "\n", "", 0}, run(t, b, spec))
		}
	})
}

// A request longer than a packet, and bytes that are no text, arrive as they were sent.
func TestExec_LongAndOddArguments(t *testing.T) {
	inModes(t, func(t *testing.T, m Mode) {
		b := start(t, Config{Mode: m, Env: []string{"BIG=" + strings.Repeat("e", 100_000)}})
		argv := []string{"printf", "%s|", "\xff\xfe'\"\n", ""}
		for i := range 4 {
			argv = append(argv, strings.Repeat(string(rune('a'+i)), 50_000))
		}
		r := run(t, b, Spec{Argv: argv})
		require.Zero(t, r.code)
		require.Equal(t, strings.Join(argv[2:], "|")+"|", r.out)
		require.Equal(t, "100000", output(t, b, "echo ${#BIG}"))
	})
}

func TestProcess_Signal(t *testing.T) {
	inModes(t, func(t *testing.T, m Mode) {
		b := start(t, Config{Mode: m})
		p := begin(t, b, sh("trap 'echo caught; exit 7' USR1; echo ready; while :; do sleep 0.01; done"))
		expect(t, p, "ready\n")
		require.NoError(t, p.Signal(syscall.SIGUSR1))
		r, err := finish(p)
		require.NoError(t, err)
		require.Equal(t, result{"caught\n", "", 7}, r)
		require.ErrorIs(t, p.Signal(syscall.SIGUSR1), os.ErrProcessDone)
		p = begin(t, b, Spec{Argv: []string{"sleep", "1000"}})
		require.Error(t, p.Signal(syscall.Signal(999)))
		require.NotErrorIs(t, p.Signal(syscall.Signal(999)), os.ErrProcessDone)
		require.Equal(t, -1, p.ExitCode())
		require.NoError(t, p.Signal(syscall.SIGTERM))
		await(t, "exit", p.Exited())
		require.Equal(t, 143, p.ExitCode())
	})
}

func TestProcess_KillGroup(t *testing.T) {
	inModes(t, func(t *testing.T, m Mode) {
		b := start(t, Config{Mode: m})
		other := begin(t, b, Spec{Argv: []string{"sleep", "1000"}})

		id := mark()
		spec := sh("trap '' TERM; setsid sleep 1000 & sleep 1000 & echo ready; wait")
		spec.Env = []string{id}
		p := begin(t, b, spec)
		expect(t, p, "ready\n")
		require.NoError(t, p.KillGroup())
		await(t, "exit", p.Exited())
		require.Equal(t, 137, p.ExitCode())
		awaitLiving(t, id, 0)

		// After the exit of the leader, too.
		spec.Argv[2] = "sleep 1000 & sleep 1000 & echo ready"
		p = begin(t, b, spec)
		await(t, "exit", p.Exited())
		awaitLiving(t, id, 2)
		require.NoError(t, p.KillGroup())
		awaitLiving(t, id, 0)
		require.Equal(t, -1, other.ExitCode(), "the other exec runs on")
	})
}

// An exec whose caller gave up does not run on without an owner.
func TestExec_CancelledWhileInitIsStopped(t *testing.T) {
	inModes(t, func(t *testing.T, m Mode) {
		b := start(t, Config{Mode: m})
		require.NoError(t, syscall.Kill(b.InitPID(), syscall.SIGSTOP))
		id := mark()
		for _, tty := range []bool{false, true} {
			ctx, cancel := context.WithCancelCause(context.Background())
			cancelled := make(chan error, 1)
			go func() {
				_, err := b.Exec(ctx, Spec{Argv: []string{"sleep", "1000"}, Env: []string{id}, TTY: tty})
				cancelled <- err
			}()
			require.Eventually(t, func() bool {
				b.mu.Lock()
				defer b.mu.Unlock()
				return len(b.calls) == 1
			}, patience, tick)
			why := errors.New("enough")
			cancel(why)
			require.ErrorIs(t, <-cancelled, why)
		}
		require.NoError(t, syscall.Kill(b.InitPID(), syscall.SIGCONT))
		// This one is answered after both, so they have been started.
		require.Zero(t, run(t, b, sh("true")).code)
		awaitLiving(t, id, 0)
		_, err := b.Exec(cancelledContext(), sh("true"))
		require.ErrorIs(t, err, context.Canceled)
	})
}

func cancelledContext() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
