package journal

import (
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// heldDaemon starts a journald whose socket outlives it.
func heldDaemon(t *testing.T) (d *Daemon, restart func() *Daemon) {
	t.Helper()
	if _, err := findJournald(); err != nil {
		t.Skipf("SKIPPED, the journal is not tested: %v", err)
	}
	dir := t.TempDir()
	sock, err := BindSocket(dir)
	require.NoError(t, err)
	t.Cleanup(func() { _ = sock.Close() })
	restart = func() *Daemon {
		d, err := StartDaemonOn(testContext(t), dir, sock)
		require.NoError(t, err)
		t.Cleanup(func() { _ = d.Stop() })
		return d
	}
	return restart(), restart
}

func TestNothingIsLostWhileJournaldIsDown(t *testing.T) {
	eachReader(t, func(t *testing.T, open func(*testing.T, *Daemon) Reader) {
		d, restart := heldDaemon(t)
		r, w := open(t, d), dialForTest(t, d)
		var want []string
		send := func(text string) {
			require.NoError(t, w.Send(6, "held", text, nil))
			want = append(want, text)
		}
		long := strings.Repeat("x", maxDatagram)
		send("up")
		_, after := syncScan(t, r, "")
		for round := range 3 {
			if round == 1 {
				require.NoError(t, d.Stop())
			} else {
				require.True(t, d.Kill())
			}
			for i := range 100 { // the kernel holds a few, the writer the rest
				send(fmt.Sprint(round, " ", i))
			}
			send(long)
			d = restart()
			require.NoError(t, w.(*socketWriter).Flush())
			send(fmt.Sprint("up again ", round))
		}
		entries, _ := syncScan(t, r, "")
		require.Equal(t, want, messages(entries, "held"))
		entries, _ = syncScan(t, r, after)
		require.Equal(t, want[1:], messages(entries, "held"), "a place in the journal is good after a kill")
		for _, e := range entries {
			require.False(t, Suppressed(e))
		}
	})
}

func TestFrozenJournaldHoldsNobodyUp(t *testing.T) {
	d, _ := heldDaemon(t)
	r := &dirReader{dir: d.LogDir(), varlink: d.Varlink(), how: describeJournalctl, raw: journalctlScan}
	w := dialForTest(t, d)
	require.NoError(t, syscall.Kill(d.PID(), syscall.SIGSTOP))
	big := strings.Repeat("x", 64<<10)
	dropped := 0
	for range 2*queueLimit/len(big) + 20 { // ends, though nothing is taken in
		if w.Send(6, "frozen", big, nil) != nil {
			dropped++
		}
	}
	require.Positive(t, dropped)
	require.ErrorContains(t, w.(*socketWriter).Flush(), "still wait")
	require.NoError(t, syscall.Kill(d.PID(), syscall.SIGCONT))
	require.Eventually(t, func() bool { return w.(*socketWriter).Flush() == nil }, time.Minute, time.Millisecond)
	require.NoError(t, w.Send(6, "frozen", "thawed", nil))
	entries, _ := syncScan(t, r, "")
	var notes []string
	for _, e := range entries {
		if Suppressed(e) {
			notes = append(notes, e.Message)
		}
	}
	note, _ := LossNote(dropped)
	require.Equal(t, []string{note}, notes)
	require.Len(t, messages(entries, "frozen"), 2*queueLimit/len(big)+20-dropped+1)
}

// TestKillsUnderLoadLoseNothing kills journald again and again while several senders send.
func TestKillsUnderLoadLoseNothing(t *testing.T) {
	d, restart := heldDaemon(t)
	r := &dirReader{dir: d.LogDir(), varlink: d.Varlink(), how: describeJournalctl, raw: journalctlScan}
	w := dialForTest(t, d)
	const senders, lines = 4, 2000
	failed := make(chan error, senders)
	var sent atomic.Int64
	for g := range senders {
		go func() {
			var err error
			for i := 0; i < lines && err == nil; i++ {
				err = w.Send(6, "writer", fmt.Sprintf("writer %d:%d", g, i), nil)
				sent.Add(1)
			}
			failed <- err
		}()
	}
	whole := true
	for round := range int64(5) {
		require.Eventually(t, func() bool { return sent.Load() >= (round+1)*lines/2 }, time.Minute, time.Millisecond)
		whole = d.Kill() && whole
		d = restart()
	}
	for range senders {
		require.NoError(t, <-failed)
	}
	require.NoError(t, w.(*socketWriter).Flush())
	entries, _ := syncScan(t, r, "")
	if !whole {
		t.Skip("no moment was found in which nothing can be lost")
	}
	requireNumbered(t, entries, senders, lines)
}
