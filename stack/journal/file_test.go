package journal

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func newLogFile(t *testing.T) (path string, w Writer, r Reader) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "log.ndjson")
	w, err := CreateFileWriter(path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.Close() })
	return path, w, OpenFile(path)
}

// writerProcess starts this binary as a process that writes to address; count < 0 is without end.
func writerProcess(t *testing.T, address string, count int) *exec.Cmd {
	t.Helper()
	role := "write"
	if count >= 0 {
		role = fmt.Sprintf("write %d", count)
	}
	self, err := os.Executable()
	require.NoError(t, err)
	if _, err := os.Stat(self); err != nil {
		self = "/proc/self/exe" // a user who may not look into the directory of the binary
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), roleEnv+"="+role+":"+address)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	return cmd
}

func TestFileContinuesFromCursor(t *testing.T) {
	_, w, r := newLogFile(t)
	before := time.Now().Add(-time.Microsecond)
	require.NoError(t, w.Send(3, "api", "one\ntwo", nil))
	entries, after := syncScan(t, r, "")
	require.Len(t, entries, 1)
	e := entries[0]
	require.False(t, e.Time.Before(before) || e.Time.After(time.Now()))
	e.Time, e.Cursor = time.Time{}, ""
	require.Equal(t, Entry{Identifier: "api", PID: os.Getpid(), Priority: 3, Message: "one\ntwo"}, e)

	entries, same := syncScan(t, r, after)
	require.Empty(t, entries)
	require.Equal(t, after, same)

	require.NoError(t, w.Send(6, "api", "two", nil))
	require.NoError(t, w.Send(6, "api", "three", nil))
	entries, end := syncScan(t, r, after)
	require.Equal(t, []string{"two", "three"}, messages(entries, "api"))
	entries, _ = syncScan(t, r, Cursor(entries[0].Cursor))
	require.Equal(t, []string{"three"}, messages(entries, "api"), "an entry's cursor is just behind it")
	require.Equal(t, string(end), entries[0].Cursor)
}

func TestFileLeavesHalfALine(t *testing.T) {
	path, w, r := newLogFile(t)
	require.NoError(t, w.Send(6, "x", "whole", nil))
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(whole, whole[:20]...), 0o600))
	entries, after := syncScan(t, r, "")
	require.Equal(t, []string{"whole"}, messages(entries, "x"))

	require.NoError(t, os.WriteFile(path, append(whole, whole...), 0o600))
	entries, _ = syncScan(t, r, after)
	require.Equal(t, []string{"whole"}, messages(entries, "x"))
}

// TestFileWriterRepairs what a writer leaves that dies in the middle of a line, however long.
func TestFileWriterRepairs(t *testing.T) {
	for _, torn := range []int{1, 2, 4095, 4096, 4097, 4098, 20000} {
		for _, before := range []string{"", "old"} {
			t.Run(fmt.Sprintf("%d bytes after %q", torn, before), func(t *testing.T) {
				path, w, r := newLogFile(t)
				want := []string{"new"}
				if before != "" {
					want = []string{"old", "new"}
					require.NoError(t, w.Send(6, "x", before, nil))
				}
				f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
				require.NoError(t, err)
				_, err = f.WriteString(strings.Repeat("{", torn))
				require.NoError(t, err)
				require.NoError(t, f.Close())
				require.NoError(t, w.Send(6, "x", "new", nil))
				entries, _ := syncScan(t, r, "")
				require.Equal(t, want, messages(entries, "x"))
			})
		}
	}
}

func TestFileNamesTheBrokenLine(t *testing.T) {
	path, w, r := newLogFile(t)
	for range 3 {
		require.NoError(t, w.Send(6, "x", "good", nil))
	}
	_, after := syncScan(t, r, "")
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString("not json\n")
	require.NoError(t, err)
	require.NoError(t, f.Close())
	for _, from := range []Cursor{"", after} {
		entries, next, err := r.Scan(testContext(t), from)
		require.ErrorContains(t, err, path+":4: ")
		require.Empty(t, entries)
		require.Equal(t, from, next)
	}
}

func TestFileNoticesLoss(t *testing.T) {
	path, w, r := newLogFile(t)
	require.NoError(t, w.Send(6, "x", "a long line", nil))
	_, after := syncScan(t, r, "")
	require.NoError(t, os.Truncate(path, 0))
	_, _, err := r.Scan(testContext(t), after)
	require.ErrorIs(t, err, ErrLost)
	require.NoError(t, w.Send(6, "x", strings.Repeat("longer than before ", 9), nil))
	_, _, err = r.Scan(testContext(t), after)
	require.ErrorIs(t, err, ErrLost)

	for _, bad := range []Cursor{"x", "-1", "0", "s=1;i=2"} {
		_, _, err = r.Scan(testContext(t), bad)
		require.ErrorContains(t, err, "bad cursor")
	}
	require.NoError(t, os.Remove(path))
	_, _, err = r.Scan(testContext(t), "")
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestFileIsSharedByProcesses has four processes and four goroutines of this one write while a
// reader follows: nothing is lost, mixed up or seen twice.
func TestFileIsSharedByProcesses(t *testing.T) {
	const processes, count = 4, 500
	path, w, r := newLogFile(t)
	var writers []*exec.Cmd
	for range processes {
		writers = append(writers, writerProcess(t, "file:"+path, count))
	}
	sendConcurrently(t, w, 4, count)

	done := make(chan error, 1)
	go func() {
		for _, cmd := range writers {
			if err := cmd.Wait(); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	var all []Entry
	var after Cursor
	for running := true; running; {
		select {
		case err := <-done:
			require.NoError(t, err)
			running = false
		default:
		}
		var entries []Entry
		entries, after = syncScan(t, r, after)
		all = append(all, entries...)
	}
	requireNumbered(t, all, processes+4, count)
	for i := 1; i < len(all); i++ {
		require.False(t, all[i].Time.Before(all[i-1].Time), "lines stand in the order of their times")
	}
}

// TestFileOutlivesKilledWriters kills processes in the middle of their work.
func TestFileOutlivesKilledWriters(t *testing.T) {
	path, w, r := newLogFile(t)
	var after Cursor
	for round := range 5 {
		victim := writerProcess(t, "file:"+path, -1)
		require.Eventually(t, func() bool {
			entries, next := syncScan(t, r, after)
			after = next
			return len(entries) > 0
		}, time.Minute, time.Millisecond)
		require.NoError(t, victim.Process.Kill())
		_ = victim.Wait() // killed
		require.NoError(t, w.Send(6, "survivor", fmt.Sprint(round), nil), "the lock died with its owner")
	}
	entries, _ := syncScan(t, r, "")
	require.Equal(t, []string{"0", "1", "2", "3", "4"}, messages(entries, "survivor"))
}

func TestFileReadsAnExportedJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "export.json")
	line := `{"__CURSOR":"s=1;i=2","__REALTIME_TIMESTAMP":"1","MESSAGE":"m","SYSLOG_IDENTIFIER":"x","MESSAGE_ID":"` + suppressedID + `"}`
	require.NoError(t, os.WriteFile(path, []byte(line+"\n"), 0o600))
	entries, _ := syncScan(t, OpenFile(path), "")
	require.Equal(t, []string{"m"}, messages(entries, "x"))
	require.True(t, Suppressed(entries[0]))
	require.False(t, Suppressed(Entry{}))
}

func TestClosedFileWriterFails(t *testing.T) {
	_, w, _ := newLogFile(t)
	require.NoError(t, w.Close())
	require.NoError(t, w.Close())
	require.ErrorIs(t, w.Send(6, "x", "m", nil), os.ErrClosed)
}
