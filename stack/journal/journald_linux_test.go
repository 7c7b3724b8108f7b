package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

func TestJournalKeepsEntriesAsTheyAre(t *testing.T) {
	eachReader(t, func(t *testing.T, open func(*testing.T, *Daemon) Reader) {
		d := startDaemonForTest(t)
		r, w := open(t, d), dialForTest(t, d)
		_, start := syncScan(t, r, "")
		require.NotEmpty(t, start, "journald's own first entry makes a cursor, so loss shows from the start")

		texts := []string{"plain", "two\nlines", "", "tab\tand\x00nul\x1b[0m", "bad \xff utf-8", "grüße 🙂", "=", "a=b", " x ",
			strings.Repeat("long ", 2000), strings.Repeat("very long\n", 100_000)}
		before := time.Now().Truncate(time.Microsecond)
		for i, text := range texts {
			require.NoError(t, w.Send(i%8|2, "test", text, map[string]string{"KEY": text}))
		}
		require.NoError(t, w.Send(6, "", "rate", map[string]string{fieldMessageID: suppressedID}))
		entries, next := syncScan(t, r, start)
		require.Equal(t, texts, messages(entries, "test"))
		for i, e := range entries[:len(texts)] {
			require.Equal(t, i%8|2, e.Priority)
			require.Equal(t, os.Getpid(), e.PID)
			require.False(t, e.Time.Before(before) || e.Time.After(time.Now()), "%v", e.Time)
			require.False(t, Suppressed(e))
		}
		last := entries[len(entries)-1]
		require.True(t, Suppressed(last))
		require.Empty(t, last.Identifier)
		require.Equal(t, string(next), last.Cursor)
		require.Empty(t, findGaps(entries))

		entries, same := syncScan(t, r, next)
		require.Empty(t, entries)
		require.Equal(t, next, same)
	})
}

func TestBarrierShowsEverySend(t *testing.T) {
	eachReader(t, func(t *testing.T, open func(*testing.T, *Daemon) Reader) {
		d := startDaemonForTest(t)
		r, w := open(t, d), dialForTest(t, d)
		var total []Entry
		var after Cursor
		sendConcurrently(t, w, 8, 2000)
		total, after = syncScan(t, r, "")
		requireNumbered(t, total, 8, 2000)
		for i := range 50 { // nothing must depend on the time between send and scan
			require.NoError(t, w.Send(6, "probe", fmt.Sprint(i), nil))
			total, after = syncScan(t, r, after)
			require.Equal(t, []string{fmt.Sprint(i)}, messages(total, "probe"))
		}
	})
}

// TestBarriersOfManyAtOnce has six goroutines send, sync and scan independently of each other:
// nobody may take another's barrier for the own one.
func TestBarriersOfManyAtOnce(t *testing.T) {
	ctx := testContext(t)
	d := startDaemonForTest(t)
	r, err := OpenDir(d.LogDir(), d.Varlink())
	require.NoError(t, err)
	w := dialForTest(t, d)
	errs := make(chan error, 6)
	for g := range cap(errs) {
		go func() {
			errs <- func() error {
				var after Cursor
				for i := range 40 {
					who := fmt.Sprintf("goroutine %d", g)
					err := errors.Join(w.Send(6, who, fmt.Sprint(i), nil), r.Sync(ctx))
					entries, next, scanErr := r.Scan(ctx, after)
					if err := errors.Join(err, scanErr); err != nil {
						return err
					}
					if got := messages(entries, who); !slices.Equal(got, []string{fmt.Sprint(i)}) {
						return fmt.Errorf("%s sent %d and sees %q", who, i, got)
					}
					after = next
				}
				return nil
			}()
		}()
	}
	for range cap(errs) {
		require.NoError(t, <-errs)
	}
}

// TestScanWhileWriting reads along with eight writers in two processes and a rotation after every
// scan: what the scans give, put together, is everything, once and in order.
func TestScanWhileWriting(t *testing.T) {
	eachReader(t, func(t *testing.T, open func(*testing.T, *Daemon) Reader) {
		ctx := testContext(t)
		d := startDaemonForTest(t)
		r, w := open(t, d), dialForTest(t, d)
		other := writerProcess(t, "unix:"+d.Socket(), 2000)
		done := make(chan struct{})
		go func() {
			defer close(done)
			sendConcurrently(t, w, 8, 1000)
			if err := other.Wait(); err != nil {
				t.Error(err)
			}
		}()
		var all []Entry
		var after Cursor
		for running := true; running; {
			select {
			case <-done:
				running = false
			default:
			}
			require.NoError(t, r.Sync(ctx))
			entries, next, err := r.Scan(ctx, after)
			require.NoError(t, err)
			all, after = append(all, entries...), next
			require.NoError(t, Rotate(ctx, d.Varlink()))
		}
		counted := map[string]int{}
		for _, m := range messages(all, "writer") {
			who, number, _ := strings.Cut(m, ":")
			require.Equal(t, fmt.Sprint(counted[who]), number, "line of %s", who)
			counted[who]++
		}
		require.Len(t, counted, 9)
		require.Equal(t, 2000, counted[fmt.Sprint(other.Process.Pid)])
		require.Empty(t, findGaps(all))
	})
}

// TestScanDuringRotations has journald rotate three times while each scan is going on.
func TestScanDuringRotations(t *testing.T) {
	eachReader(t, func(t *testing.T, open func(*testing.T, *Daemon) Reader) {
		ctx := testContext(t)
		d := startDaemonForTest(t)
		r, w := open(t, d), dialForTest(t, d)
		var after Cursor
		for i := range 20 {
			require.NoError(t, w.Send(6, "probe", fmt.Sprint(i), nil))
			require.NoError(t, r.Sync(ctx))
			rotated := make(chan error, 1)
			go func() {
				var err error
				for range 3 {
					err = errors.Join(err, Rotate(ctx, d.Varlink()))
				}
				rotated <- err
			}()
			entries, next, err := r.Scan(ctx, after)
			require.NoError(t, <-rotated)
			require.NoError(t, err)
			require.Equal(t, []string{fmt.Sprint(i)}, messages(entries, "probe"))
			after = next
		}
	})
}

func TestCursorOutlivesRotationAndRestart(t *testing.T) {
	eachReader(t, func(t *testing.T, open func(*testing.T, *Daemon) Reader) {
		ctx := testContext(t)
		d := startDaemonForTest(t)
		r, w := open(t, d), dialForTest(t, d)
		var after Cursor
		step := func(text string) {
			require.NoError(t, w.Send(6, "step", text, nil))
			var entries []Entry
			entries, after = syncScan(t, r, after)
			require.Equal(t, []string{text}, messages(entries, "step"))
		}
		step("before")
		require.NoError(t, Rotate(ctx, d.Varlink()))
		step("after a rotation")
		require.NoError(t, d.Stop())
		require.ErrorIs(t, r.Sync(ctx), syscall.ECONNREFUSED)
		d, err := StartDaemon(ctx, d.dir)
		require.NoError(t, err)
		step("after a restart")

		require.NoError(t, syscall.Kill(d.PID(), syscall.SIGKILL))
		<-d.Exited()
		require.Error(t, w.Send(6, "step", "nobody there", nil))
		entries, _, err := r.Scan(ctx, "")
		require.NoError(t, err, "the journal of a killed journald is readable")
		require.Equal(t, []string{"before", "after a rotation", "after a restart"}, messages(entries, "step"))
		require.ErrorContains(t, d.Stop(), "already ended: signal: killed")

		d, err = StartDaemon(ctx, d.dir)
		require.NoError(t, err)
		step("after a kill")
		require.NoError(t, Rotate(ctx, d.Varlink()))
		step("after a rotation after a kill")
		require.NoError(t, d.Stop())
		require.NoError(t, d.Stop(), "again")
	})
}

// TestLossIsNoticed removes the file with the entry that the cursor stands on, as journald does
// when space is short.
func TestLossIsNoticed(t *testing.T) {
	eachReader(t, func(t *testing.T, open func(*testing.T, *Daemon) Reader) {
		ctx := testContext(t)
		d := startDaemonForTest(t)
		r, w := open(t, d), dialForTest(t, d)
		require.NoError(t, w.Send(6, "x", "old", nil))
		_, after := syncScan(t, r, "")
		require.NoError(t, Rotate(ctx, d.Varlink()))
		removed := 0
		for _, path := range archived(t, d) {
			require.NoError(t, os.Remove(path))
			removed++
		}
		require.Positive(t, removed)
		require.NoError(t, w.Send(6, "x", "new", nil))
		require.NoError(t, r.Sync(ctx))
		_, next, err := r.Scan(ctx, after)
		require.ErrorIs(t, err, ErrLost)
		require.Equal(t, after, next)
	})
}

// archived lists the journal files that journald has closed.
func archived(t *testing.T, d *Daemon) []string {
	t.Helper()
	list, err := listJournals(d.LogDir())
	require.NoError(t, err)
	var out []string
	for _, path := range strings.Fields(list) {
		if strings.Contains(path, "@") {
			out = append(out, path)
		}
	}
	return out
}

func TestSyncEndsWithItsContext(t *testing.T) {
	d := startDaemonForTest(t)
	r := &dirReader{dir: d.LogDir(), varlink: d.Varlink()}
	require.NoError(t, syscall.Kill(d.PID(), syscall.SIGSTOP))
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, r.Sync(ctx), context.DeadlineExceeded)
	require.NoError(t, syscall.Kill(d.PID(), syscall.SIGCONT))
	require.NoError(t, r.Sync(testContext(t)))
}

func TestSecondDaemonInADirectoryIsRefused(t *testing.T) {
	d := startDaemonForTest(t)
	_, err := StartDaemon(testContext(t), d.dir)
	require.ErrorContains(t, err, "in use by another journald")
	require.NoError(t, synchronize(testContext(t), d.Varlink()))
}

func TestOpenDirSaysWhatItIs(t *testing.T) {
	d := startDaemonForTest(t)
	r, err := OpenDir(d.LogDir(), d.Varlink())
	require.NoError(t, err)
	want := describeJournalctl
	if sdScan != nil {
		want = describeSD
	}
	require.Equal(t, want, r.Describe())
	entries, _ := syncScan(t, r, "")
	require.Equal(t, "Journal started", entries[0].Message)
	require.NoError(t, r.Close())

	_, err = OpenDir(d.LogDir()+"/none", "")
	require.ErrorIs(t, err, os.ErrNotExist)
	_, _, err = r.Scan(testContext(t), "garbage")
	require.Error(t, err)
}

func TestMissingJournalctlIsExplained(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := journalctlScan(testContext(t), t.TempDir(), "", func() {})
	require.ErrorIs(t, err, exec.ErrNotFound)
	require.ErrorContains(t, err, "journalctl")
}

func TestEmptyDirectoryIsAnEmptyJournal(t *testing.T) {
	eachReader(t, func(t *testing.T, open func(*testing.T, *Daemon) Reader) {
		d := startDaemonForTest(t)
		r := open(t, d).(*dirReader)
		r.dir = t.TempDir()
		entries, next, err := r.Scan(testContext(t), "")
		require.NoError(t, err)
		require.Empty(t, entries)
		require.Empty(t, next)
	})
}

func TestZapThroughJournald(t *testing.T) {
	d := startDaemonForTest(t)
	log := zap.New(NewCore(dialForTest(t, d), "boxlite-runner", zap.InfoLevel), zap.AddCaller())
	log.Info("created box", zap.String("id", "abc"), zap.String("image", "alpine latest"))
	r, err := OpenDir(d.LogDir(), d.Varlink())
	require.NoError(t, err)
	entries, _ := syncScan(t, r, "")
	require.Equal(t, []string{`created box id=abc image="alpine latest"`}, messages(entries, "boxlite-runner"))
}

// TestPlainUserCanDoAllThis runs the tests above again as a user without any privilege.
func TestPlainUserCanDoAllThis(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("the other tests have already run as a plain user")
	}
	startDaemonForTest(t) // or skip here, rather than in the output below
	const plain = 12345   // no entry of /etc/passwd
	cmd := exec.CommandContext(testContext(t), "/proc/self/exe",
		"-test.v", "-test.run=^(TestJournal|TestBarrier|TestScanWhile|TestCursor|TestSync|TestOpenDir)")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: plain, Gid: plain}}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NotContains(t, string(out), "SKIPPED")
	require.Contains(t, string(out), "--- PASS: TestBarrierShowsEverySend")
}
