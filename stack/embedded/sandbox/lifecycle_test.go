//go:build linux

package sandbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/stack/embedded/child"
)

// parentRole is a process that owns a box and is killed by the test.
const parentRole = "sandbox-test-parent"

func init() { child.Register(parentRole, parentMain) }

func parentMain(args []string) int {
	mode, _ := strconv.Atoi(args[0])
	b, err := Start(context.Background(), Config{Dir: args[1], Mode: Mode(mode), Env: []string{args[2]}})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	p, err := b.Exec(context.Background(), sh("trap '' TERM HUP; (setsid setsid sleep 1000 &) ; sleep 1000 & echo up; wait"))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	line, _ := bufio.NewReader(p.Stdout).ReadString('\n')
	fmt.Print(line)
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test ends, if it does not kill us
	return 1
}

func TestStart_ParentKilledLeavesNothing(t *testing.T) {
	inModes(t, func(t *testing.T, m Mode) {
		id := mark()
		cmd := child.Command(parentRole, strconv.Itoa(int(m)), filepath.Join(t.TempDir(), "box"), id)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		lifeline, err := cmd.StdinPipe()
		require.NoError(t, err)
		t.Cleanup(func() { _ = lifeline.Close() })
		require.NoError(t, cmd.Start())
		line, _ := bufio.NewReader(out).ReadString('\n')
		require.Equal(t, "up\n", line)
		awaitLiving(t, id, 4) // init, shell and two sleeps
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
		awaitLiving(t, id, 0)
	})
}

func TestKill_IsABarrier(t *testing.T) {
	inModes(t, func(t *testing.T, m Mode) {
		id := mark()
		b := start(t, Config{Mode: m, Env: []string{id}})
		storm := begin(t, b, sh(`trap '' TERM HUP INT
			i=0; while [ $i -lt 3000 ]; do setsid sleep 1000 & i=$((i+1)); [ $i = 150 ] && echo storm; done; wait`))
		expect(t, storm, "storm\n")
		require.Greater(t, len(living(t, id)), 50)
		require.NoError(t, b.Kill())
		require.Empty(t, living(t, id), "not one process is left when Kill returns")
		await(t, "gone", b.Gone())
		await(t, "exit", storm.Exited())
		require.Equal(t, 137, storm.ExitCode())
		require.ErrorIs(t, syscall.Kill(b.InitPID(), 0), syscall.ESRCH, "the init has been waited for")
		requireNoZombies(t)
		require.NoError(t, b.Kill(), "once more")
		_, err := b.Exec(context.Background(), sh("true"))
		require.ErrorIs(t, err, ErrGone)
		require.ErrorIs(t, storm.Signal(syscall.SIGTERM), os.ErrProcessDone)
		require.NoError(t, storm.KillGroup())
	})
}

func requireNoZombies(t *testing.T) {
	t.Helper()
	table, err := processes()
	require.NoError(t, err)
	for _, p := range table {
		require.False(t, p.dead && p.ppid == os.Getpid(), "zombie %d", p.pid)
	}
}

// Somebody else kills the init; also of a box without namespaces nothing stays behind.
func TestGone_InitKilledFromOutside(t *testing.T) {
	inModes(t, func(t *testing.T, m Mode) {
		id := mark()
		b := start(t, Config{Mode: m, Env: []string{id}})
		p := begin(t, b, sh("trap '' HUP; (setsid setsid sleep 1000 &); echo said; sleep 1000"))
		expect(t, p, "said\n")
		require.NoError(t, syscall.Kill(b.InitPID(), syscall.SIGKILL))
		await(t, "gone", b.Gone())
		await(t, "exit", p.Exited())
		require.Equal(t, 137, p.ExitCode())
		require.Empty(t, living(t, id))
		require.NoError(t, b.Kill())
	})
}

func TestKill_StoppedInit(t *testing.T) {
	inModes(t, func(t *testing.T, m Mode) {
		id := mark()
		b := start(t, Config{Mode: m, Env: []string{id}})
		begin(t, b, Spec{Argv: []string{"sleep", "1000"}})
		require.NoError(t, syscall.Kill(b.InitPID(), syscall.SIGSTOP))
		require.NoError(t, b.Kill())
		require.Empty(t, living(t, id))
	})
}

// Output written before the death of the box is still there after it, and an exit that was
// reported keeps its code.
func TestKill_KeepsWhatWasWritten(t *testing.T) {
	inModes(t, func(t *testing.T, m Mode) {
		b := start(t, Config{Mode: m})
		quick := begin(t, b, sh("echo quick; exit 5"))
		await(t, "exit", quick.Exited())
		slow := begin(t, b, sh("echo slow >&2; echo ready; sleep 1000"))
		expect(t, slow, "ready\n")
		require.NoError(t, b.Kill())
		r, err := finish(quick)
		require.NoError(t, err)
		require.Equal(t, result{"quick\n", "", 5}, r)
		r, err = finish(slow)
		require.NoError(t, err)
		require.Equal(t, result{"", "slow\n", 137}, r)
	})
}

func TestExec_RacesWithKill(t *testing.T) {
	const rounds, clients = 10, 6
	inModes(t, func(t *testing.T, m Mode) {
		for range rounds {
			b := start(t, Config{Mode: m})
			var wg sync.WaitGroup
			warm := make(chan struct{}, 1000)
			for c := range clients {
				wg.Go(func() {
					for {
						p, err := b.Exec(context.Background(), Spec{Argv: []string{"sleep", "0.001"}, TTY: c%2 == 0})
						if errors.Is(err, ErrGone) {
							return
						}
						if err != nil {
							t.Errorf("exec: %v", err)
							return
						}
						select {
						case warm <- struct{}{}:
						default:
						}
						if c%3 == 0 {
							_ = p.Signal(syscall.SIGTERM)
						}
						<-p.Exited()
						p.Close()
					}
				})
			}
			for range 2 * clients {
				<-warm
			}
			require.NoError(t, b.Kill())
			done := make(chan struct{})
			go func() { wg.Wait(); close(done) }()
			await(t, "every exec has an answer", done)
		}
	})
}

func TestStart_KeepsFilesOfTheSameDir(t *testing.T) {
	inModes(t, func(t *testing.T, m Mode) {
		dir := filepath.Join(t.TempDir(), "box")
		places := []string{"/root", "/home", "/workspace", "/var", "/srv", "/tmp"}
		b := start(t, Config{Mode: m, Dir: dir})
		for _, place := range places {
			spec := sh("echo kept in $(basename $(pwd)) >file")
			spec.Dir = place
			require.Zero(t, run(t, b, spec).code, place)
		}
		if m != Plain {
			output(t, b, "touch /etc/gone 2>/dev/null; touch /run/gone")
		}
		require.NoError(t, b.Kill())

		b = start(t, Config{Mode: m, Dir: dir})
		for _, place := range places {
			spec := Spec{Argv: []string{"cat", "file"}, Dir: place}
			if r := run(t, b, spec); place == "/tmp" {
				require.NotZero(t, r.code, "/tmp is new")
			} else {
				require.Equal(t, result{"kept in " + place[1:] + "\n", "", 0}, r)
			}
		}
		if m != Plain {
			output(t, b, "test ! -e /etc/gone && test ! -e /run/gone")
		}
		require.NoError(t, b.Kill())
		require.NoError(t, os.RemoveAll(dir), "nothing is mounted there any more")
	})
}

func TestStart_ManyInParallel(t *testing.T) {
	const boxes = 32
	inModes(t, func(t *testing.T, m Mode) {
		root := t.TempDir()
		var wg sync.WaitGroup
		for i := range boxes {
			wg.Go(func() {
				if err := oneOfMany(m, filepath.Join(root, strconv.Itoa(i)), fmt.Sprintf("box%d", i)); err != nil {
					t.Errorf("box %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		requireNoZombies(t)
	})
}

func oneOfMany(m Mode, dir, name string) error {
	b, err := Start(context.Background(), Config{Dir: dir, Mode: m, Hostname: name, Env: []string{"NAME=" + name}})
	if err != nil {
		return err
	}
	for range 5 {
		p, err := b.Exec(context.Background(), sh("echo $NAME; echo $NAME >>who; cat who | sort -u"))
		if err != nil {
			return errors.Join(err, b.Kill())
		}
		r, err := finish(p)
		p.Close()
		if want := name + "\n" + name + "\n"; err != nil || r.out != want {
			return errors.Join(fmt.Errorf("printed %q, want %q", r.out, want), err, b.Kill())
		}
	}
	return b.Kill()
}

func TestExec_LeaksNoDescriptors(t *testing.T) {
	// A descriptor that is inherited on exec, as a careless parent of the caller may leave it.
	inherited, err := syscall.Dup(1)
	require.NoError(t, err)
	t.Cleanup(func() { _ = syscall.Close(inherited) })
	inModes(t, func(t *testing.T, m Mode) {
		b := start(t, Config{Mode: m})
		count := func(pid int) int {
			names, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
			require.NoError(t, err)
			return len(names)
		}
		once := func(i int) {
			spec := sh("echo x; exit 1")
			spec.TTY = i%2 == 0
			require.Equal(t, 1, run(t, b, spec).code)
			_, err := b.Exec(context.Background(), Spec{Argv: []string{"/no/such"}, TTY: spec.TTY})
			require.Error(t, err)
		}
		once(0)
		once(1)
		// What is passed on to an exec is three streams and no more (ls itself holds one).
		require.Equal(t, "0\n1\n2\n3\n", run(t, b, Spec{Argv: []string{"ls", "/proc/self/fd"}}).out)
		ours, inits := count(os.Getpid()), count(b.InitPID())
		for i := range 200 {
			once(i)
		}
		require.Eventually(t, func() bool { return count(b.InitPID()) <= inits }, patience, tick)
		require.LessOrEqual(t, count(os.Getpid()), ours)
		requireNoZombies(t)
	})
}

func TestStart_Errors(t *testing.T) {
	_, err := Start(context.Background(), Config{Dir: "relative", Mode: Plain})
	require.ErrorContains(t, err, "not absolute")
	_, err = Start(context.Background(), Config{Dir: t.TempDir(), Mode: 9})
	require.ErrorContains(t, err, "mode 9")
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = Start(context.Background(), Config{Dir: file, Mode: Plain})
	require.ErrorIs(t, err, syscall.ENOTDIR)
	inModes(t, func(t *testing.T, m Mode) {
		id := mark()
		_, err := Start(cancelledContext(), Config{Dir: t.TempDir(), Mode: m, Env: []string{id}})
		require.ErrorIs(t, err, context.Canceled)
		require.Empty(t, living(t, id))
		requireNoZombies(t)
		_, err = Start(context.Background(), Config{Dir: t.TempDir(), Mode: m, Hostname: strings.Repeat("h", 100)})
		if m == Plain {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, "set host name")
		}
	})
}

func TestProbe(t *testing.T) {
	mode, why := Probe()
	best := Plain
	for _, m := range []Mode{UserNamespaces, Namespaces} {
		if works()[m] == nil {
			best = m
		}
	}
	require.Equal(t, best, mode)
	require.Equal(t, mode == Namespaces, why == "", why)
}
