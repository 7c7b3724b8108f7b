package journal

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestParseEntryReadsJournalctl(t *testing.T) {
	at := time.UnixMicro(1795562725530666).UTC()
	for name, c := range map[string]struct {
		fields string
		want   Entry
	}{
		"all":             {`"MESSAGE":"a b","MESSAGE_ID":"f7","PRIORITY":"3","SYSLOG_IDENTIFIER":"x","_PID":"42"`, Entry{Message: "a b", MessageID: "f7", Priority: 3, Identifier: "x", PID: 42}},
		"none":            {`"_BOOT_ID":"b"`, Entry{Priority: 6}},
		"null":            {`"MESSAGE":null`, Entry{Priority: 6}},
		"bytes":           {`"MESSAGE":[104,105,255,0]`, Entry{Message: "hi\xff\x00", Priority: 6}},
		"no bytes":        {`"MESSAGE":[]`, Entry{Priority: 6}},
		"twice":           {`"MESSAGE":["first","second"]`, Entry{Message: "first", Priority: 6}},
		"twice, bytes":    {`"MESSAGE":[[104,255],"second"]`, Entry{Message: "h\xff", Priority: 6}},
		"twice, null":     {`"MESSAGE":[null,"second"]`, Entry{Priority: 6}},
		"foreign numbers": {`"PRIORITY":"high","_PID":"-3"`, Entry{Priority: 6}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseEntry([]byte(`{"__REALTIME_TIMESTAMP":"1795562725530666","__CURSOR":"s=1;i=2",` + c.fields + "}\n"))
			require.NoError(t, err)
			c.want.Time, c.want.Cursor = at, "s=1;i=2"
			require.Equal(t, c.want, got)
		})
	}
}

func TestParseEntryRefusesWhatIsNoEntry(t *testing.T) {
	for _, line := range []string{
		"\n", "null\n", "{}\n", "[]\n", "{\"__REALTIME_TIMESTAMP\":\"1\"\n",
		`{"__REALTIME_TIMESTAMP":"x"}`, `{"__REALTIME_TIMESTAMP":"1","MESSAGE":[300]}`, `{"__REALTIME_TIMESTAMP":"1","MESSAGE":{}}`,
	} {
		_, err := parseEntry([]byte(line))
		require.Error(t, err, line)
	}
}

func TestFormattedEntryReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		anyText := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
		want := Entry{
			Time:       time.UnixMicro(rapid.Int64Range(0, 1<<52).Draw(t, "time")).UTC(),
			PID:        rapid.IntRange(0, 1<<22).Draw(t, "pid"),
			Priority:   rapid.IntRange(0, 7).Draw(t, "priority"),
			Identifier: anyText.Draw(t, "identifier"),
			Message:    anyText.Draw(t, "message"),
			MessageID:  suppressedID,
		}
		line, err := formatEntry(want.Time, want.PID, want.Priority, want.Identifier, want.Message,
			map[string]string{fieldMessageID: suppressedID, "OTHER": anyText.Draw(t, "other")})
		require.NoError(t, err)
		require.Equal(t, 1, strings.Count(string(line), "\n"), "one line")
		got, err := parseEntry(line)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.True(t, Suppressed(got))
	})
}

func TestOpenWantsAnAddress(t *testing.T) {
	for _, address := range []string{"", "unix:", "file:", "tcp:1", "/path"} {
		_, err := Open(address)
		require.ErrorContains(t, err, "want unix:PATH or file:PATH", address)
	}
}

func TestSendRefusesWhatJournaldWouldDrop(t *testing.T) {
	w, err := Open("file:" + t.TempDir() + "/log")
	require.NoError(t, err)
	defer w.Close()
	for _, name := range []string{"", "a", "_PID", "1X", "A-B", "A=B", "A\nB", "MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", strings.Repeat("A", 65)} {
		require.Error(t, w.Send(6, "x", "m", map[string]string{name: "v"}), name)
	}
	require.Error(t, w.Send(-1, "x", "m", nil))
	require.Error(t, w.Send(8, "x", "m", nil))
	require.NoError(t, w.Send(7, "x", "m", map[string]string{"CODE_2": "v"}))
}
