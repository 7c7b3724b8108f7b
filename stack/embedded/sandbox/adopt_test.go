//go:build linux

package sandbox

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/stack/embedded/child"
)

// lingerRole is a process that owns a box which lingers, and is killed by the test.
const lingerRole = "sandbox-test-linger"

// lifelineFD is where that process finds a lifeline.
const lifelineFD = 3

func init() { child.Register(lingerRole, lingerMain) }

func lingerMain(args []string) int {
	mode, _ := strconv.Atoi(args[0])
	linger, _ := time.ParseDuration(args[3])
	ctx := context.Background()
	b, err := Start(ctx, Config{
		Dir: args[1], Mode: Mode(mode), Env: []string{args[2], noRaceDelay}, Linger: linger, Lifeline: os.NewFile(lifelineFD, "lifeline"),
	})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	for _, spec := range []Spec{
		sh("trap '' HUP PIPE; echo up; while sleep 0.01; do echo >>beat; done"),
		{Argv: []string{"cat"}, TTY: true},
	} {
		if _, err := b.Exec(ctx, spec); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	fmt.Println("up")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 1
}

// orphan is a box whose caller has been killed.
type orphan struct {
	dir, mark string
	hold      *os.File // the other end of its lifeline
}

func orphaned(t *testing.T, m Mode, linger time.Duration) orphan {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { r.Close(); w.Close() })
	o := orphan{dir: filepath.Join(t.TempDir(), strings.Repeat("a long name, ", 12)), mark: mark(), hold: w}
	cmd := child.Command(lingerRole, strconv.Itoa(int(m)), o.dir, o.mark, linger.String())
	cmd.ExtraFiles = []*os.File{r}
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	_, err = cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, _ := bufio.NewReader(out).ReadString('\n')
	require.Equal(t, "up\n", line)
	require.NoError(t, cmd.Process.Kill())
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	return o
}

func adopt(t *testing.T, dir string) *Box {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	b, err := Adopt(ctx, dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Kill()) })
	return b
}

func TestAdopt_TheBoxGoesOn(t *testing.T) {
	inModes(t, func(t *testing.T, m Mode) {
		o := orphaned(t, m, time.Hour)
		for range 3 { // one caller after the other
			b := adopt(t, o.dir)
			require.Contains(t, living(t, o.mark), b.InitPID())
			require.Equal(t, "hello", output(t, b, "echo hello"), "it takes execs")
			tty := run(t, b, Spec{Argv: []string{"sh", "-c", "echo on a terminal; exit 3"}, TTY: true})
			require.Equal(t, result{"on a terminal\r\n", "", 3}, tty)
			before := output(t, b, "cat beat 2>/dev/null | wc -l")
			require.Eventually(t, func() bool { return output(t, b, "cat beat 2>/dev/null | wc -l") != before }, patience, tick, "the exec of the first caller goes on")
			require.NoError(t, b.conn.Close())
			<-b.readDone
		}
		b := adopt(t, o.dir)
		p := begin(t, b, sh("echo up; sleep 1000"))
		expect(t, p, "up\n")
		require.NoError(t, b.Kill())
		require.Equal(t, exitKilled, p.ExitCode())
		require.Empty(t, living(t, o.mark))
		_, err := Adopt(context.Background(), o.dir)
		require.ErrorIs(t, err, ErrGone)
		again := start(t, Config{Dir: o.dir, Mode: m, Linger: time.Hour})
		require.Equal(t, "again", output(t, again, "echo again"), "the directory can be used once more")
	})
}

func TestAdopt_NobodyComes(t *testing.T) {
	inModes(t, func(t *testing.T, m Mode) {
		o := orphaned(t, m, 50*time.Millisecond)
		awaitLiving(t, o.mark, 0)
		_, err := Adopt(context.Background(), o.dir)
		require.ErrorIs(t, err, ErrGone)
	})
}

func TestAdopt_DeathOfAnAdoptedBox(t *testing.T) {
	inModes(t, func(t *testing.T, m Mode) {
		o := orphaned(t, m, time.Hour)
		b := adopt(t, o.dir)
		p := begin(t, b, sh("setsid sleep 1000 & echo up; sleep 1000"))
		expect(t, p, "up\n")
		require.NoError(t, syscall.Kill(b.InitPID(), syscall.SIGKILL))
		await(t, "the box is gone", b.Gone())
		await(t, "its exec ends", p.Exited())
		awaitLiving(t, o.mark, 0)
	})
}

func TestLifeline(t *testing.T) {
	inModes(t, func(t *testing.T, m Mode) {
		t.Run("nobody has the box", func(t *testing.T) {
			o := orphaned(t, m, time.Hour)
			require.NotEmpty(t, living(t, o.mark))
			require.NoError(t, o.hold.Close())
			awaitLiving(t, o.mark, 0)
		})
		t.Run("its caller does not move", func(t *testing.T) {
			r, w, err := os.Pipe()
			require.NoError(t, err)
			defer r.Close()
			id := mark()
			b := start(t, Config{Mode: m, Env: []string{id}, Linger: time.Hour, Lifeline: r})
			p := begin(t, b, sh("setsid sleep 1000 & sleep 1000"))
			require.NoError(t, w.Close())
			await(t, "the box is gone", b.Gone())
			require.Equal(t, exitKilled, p.ExitCode())
			awaitLiving(t, id, 0)
		})
	})
}

func TestAdopt_Errors(t *testing.T) {
	_, err := Adopt(context.Background(), filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, ErrGone)
	dir := filepath.Join(t.TempDir(), "owned")
	b := start(t, Config{Mode: Plain, Linger: time.Hour, Dir: dir})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err = Adopt(ctx, dir)
	require.ErrorIs(t, err, context.DeadlineExceeded, "a box has one caller at a time")
	require.Equal(t, "mine", output(t, b, "echo mine"))
}
