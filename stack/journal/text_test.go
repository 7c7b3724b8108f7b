package journal

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPlain(t *testing.T) {
	at := time.Date(2026, 3, 2, 10, 0, 1, 500_000_000, time.UTC)
	for line, want := range map[string]string{
		`time=2026-03-02T10:00:01.500Z level=INFO msg="created box" id=c1 name=AbC image="a b"`:              `created box id=c1 name=AbC image="a b"`,
		`time=2026-03-02T10:00:01.500Z level=INFO source=/x/y.go:7 msg=up`:                                   `up`,
		`{"time":"2026-03-02T10:00:01.5Z","level":"INFO","msg":"Executing job","job_type":"STOP_BOX","n":3}`: `Executing job job_type=STOP_BOX n=3`,
		`{"ts":"2026-03-02T10:00:01.5Z","message":"said \"x\"","field":"a b"}`:                               `said "x" field="a b"`,
		"\x1b[2m2026-03-02T10:00:01.5Z\x1b[0m \x1b[92mINF\x1b[0m created box \x1b[2mname=\x1b[0mAbC":         `created box name=AbC`,
	} {
		got, when := Plain(line)
		require.Equal(t, want, got, line)
		require.True(t, when.Equal(at), "%s: %s", line, when)
	}
	for _, line := range []string{"", "created box name=AbC", "level=INFO", `{"a":1}`, `{"msg":`, "created box id=1 INFO"} {
		got, when := Plain(line)
		require.Equal(t, line, got)
		require.True(t, when.IsZero(), line)
	}
}

func TestOpenText_ReadsWhatIsAppended(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.log")
	write := func(text string) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		require.NoError(t, err)
		_, err = f.WriteString(text)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	write("old 1\nold 2\nbegun before ")
	r, err := OpenText(path)
	require.NoError(t, err)
	entries, cursor, err := r.Scan(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, entries)
	write("the end\nlevel=INFO msg=one\ntw")
	entries, cursor, err = r.Scan(t.Context(), cursor)
	require.NoError(t, err)
	require.Len(t, entries, 2)
	require.Equal(t, []string{"begun before the end", "one"}, []string{entries[0].Message, entries[1].Message})
	write("o\n")
	entries, cursor, err = r.Scan(t.Context(), cursor)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.Equal(t, "two", entries[0].Message)

	// A file that was replaced is said to be, and read from its beginning then.
	require.NoError(t, os.Remove(path))
	_, cursor, err = r.Scan(t.Context(), cursor)
	require.ErrorIs(t, err, ErrLost)
	write("new\n")
	entries, cursor, err = r.Scan(t.Context(), cursor)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.Equal(t, "new", entries[0].Message)
	require.NoError(t, os.Truncate(path, 0))
	_, _, err = r.Scan(t.Context(), cursor)
	require.ErrorIs(t, err, ErrLost)
}

func TestOpenText_WantsAFile(t *testing.T) {
	for _, path := range []string{t.TempDir(), filepath.Join(t.TempDir(), "none")} {
		_, err := OpenText(path)
		require.ErrorContains(t, err, "open log: ")
	}
}

func FuzzPlain(f *testing.F) {
	for _, line := range []string{"", `level=INFO msg="a" b=c`, `{"msg":"a","b":{"c":[1,null]}}`, "12345 INF x", "{\"msg\":\"\xff\"}", "\x1b[0m"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		message, _ := Plain(line)
		again, _ := Plain(message)
		if len(message) > 12*len(line)+20 || strings.HasPrefix(line, "created box") && again == "" {
			t.Fatalf("%q became %q", line, message)
		}
	})
}

func FuzzParseEntry(f *testing.F) {
	for _, line := range []string{`{"__REALTIME_TIMESTAMP":"1","MESSAGE":"m"}`, `{"__REALTIME_TIMESTAMP":"1","MESSAGE":[104,105]}`, `{"__REALTIME_TIMESTAMP":"1","MESSAGE":[["a"],null]}`, `[]`, `null`} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := parseEntry(line)
		if err != nil {
			return
		}
		again, err := formatEntry(e.Time, e.PID, e.Priority, e.Identifier, e.Message, nil)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := parseEntry(again); err != nil || back.Message != e.Message || !back.Time.Equal(e.Time) {
			t.Fatalf("%q became %q: %v", line, again, err)
		}
	})
}
