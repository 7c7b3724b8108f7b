package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// roleEnv makes the test binary another program: "write:ADDRESS" sends numbered lines there, under
// its process id, until it is killed; "write N:ADDRESS" sends N of them.
const roleEnv = "JOURNAL_TEST_ROLE"

func TestMain(m *testing.M) {
	role, address, ok := strings.Cut(os.Getenv(roleEnv), ":")
	if !ok {
		os.Exit(m.Run())
	}
	count := -1
	if n, ok := strings.CutPrefix(role, "write "); ok {
		if _, err := fmt.Sscan(n, &count); err != nil {
			panic(err)
		}
	}
	if err := writeLines(address, count); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func writeLines(address string, count int) error {
	w, err := Open(address)
	if err != nil {
		return err
	}
	for i := 0; i != count; i++ {
		if err := w.Send(6, "writer", fmt.Sprintf("%d:%d", os.Getpid(), i), nil); err != nil {
			return err
		}
	}
	return w.Close()
}

// testContext bounds what could hang; no test depends on how long anything takes.
func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// startDaemonForTest starts a journald in a directory of its own, or skips.
func startDaemonForTest(t *testing.T) *Daemon {
	t.Helper()
	d, err := StartDaemon(testContext(t), t.TempDir())
	if errors.Is(err, ErrNoJournald) {
		t.Skipf("SKIPPED, the journal is not tested: %v", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { _ = d.Stop() })
	return d
}

// eachReader runs a test with every reader of journal directories that this build has.
func eachReader(t *testing.T, test func(t *testing.T, open func(*testing.T, *Daemon) Reader)) {
	t.Helper()
	raws := map[string]rawScan{describeJournalctl: journalctlScan}
	if sdScan != nil {
		raws[describeSD] = sdScan
	}
	for how, raw := range raws {
		t.Run(how, func(t *testing.T) {
			if _, err := findJournalctl(); err != nil && how == describeJournalctl {
				t.Skipf("SKIPPED, journalctl is not tested: %v", err)
			}
			test(t, func(t *testing.T, d *Daemon) Reader {
				t.Helper()
				return &dirReader{dir: d.LogDir(), varlink: d.Varlink(), how: how, raw: raw}
			})
		})
	}
}

func dialForTest(t *testing.T, d *Daemon) Writer {
	t.Helper()
	w, err := DialWriter(d.Socket())
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// syncScan is what a verdict does: the barrier, then a fresh scan.
func syncScan(t *testing.T, r Reader, after Cursor) ([]Entry, Cursor) {
	t.Helper()
	ctx := testContext(t)
	require.NoError(t, r.Sync(ctx))
	entries, next, err := r.Scan(ctx, after)
	require.NoError(t, err)
	return entries, next
}

// messages of the entries of one identifier.
func messages(entries []Entry, identifier string) []string {
	var out []string
	for _, e := range entries {
		if e.Identifier == identifier {
			out = append(out, e.Message)
		}
	}
	return out
}
