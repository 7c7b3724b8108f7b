//go:build linux && cgo && sdjournal

package journal

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestReadersAreEqual has libsystemd and journalctl read the same journals, from every cursor of a
// sample: messages of all kinds, several processes, fields that appear twice, rotations.
func TestReadersAreEqual(t *testing.T) {
	if _, err := findJournalctl(); err != nil {
		t.Skipf("SKIPPED, the readers are not compared: %v", err)
	}
	d := startDaemonForTest(t)
	w := dialForTest(t, d)
	ctx := testContext(t)
	text := rapid.OneOf(rapid.String(), rapid.StringN(0, 20_000, -1),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
	identifier := rapid.SampledFrom([]string{"", "a", "b c", "ü", "\xff"})
	for seed := range 300 {
		require.NoError(t, w.Send(seed%6+2, identifier.Example(seed), text.Example(seed), map[string]string{"OTHER": text.Example(seed + 1)}))
		if seed%100 == 99 {
			require.NoError(t, Rotate(ctx, d.Varlink()))
		}
	}
	raw, err := dialSocket(d.Socket())
	require.NoError(t, err)
	for _, entry := range []string{
		"MESSAGE=first\nMESSAGE=second\nPRIORITY=1\nPRIORITY=5\n", "OTHER=no message\n", "MESSAGE=\n", "PRIORITY=high\nMESSAGE=x\n",
		"MESSAGE\n\x02\x00\x00\x00\x00\x00\x00\x00\xff\n\nMESSAGE=text\n", "MESSAGE_ID=" + suppressedID + "\nMESSAGE=y\n",
		"MESSAGE=" + strings.Repeat("compressible ", 5000) + "\n",
	} {
		_, err := raw.Write([]byte(entry))
		require.NoError(t, err)
	}
	require.NoError(t, raw.Close())
	require.NoError(t, writerProcess(t, "unix:"+d.Socket(), 200).Wait())

	require.NoError(t, synchronize(ctx, d.Varlink()))
	sd := &dirReader{dir: d.LogDir(), raw: sdjournalScan}
	ctl := &dirReader{dir: d.LogDir(), raw: journalctlScan}
	all, _, err := sd.Scan(ctx, "")
	require.NoError(t, err)
	require.Greater(t, len(all), 500)
	for i := -1; i < len(all); i += max(1, i) { // -1 stands for the beginning
		var after Cursor
		if i >= 0 {
			after = Cursor(all[i].Cursor)
		}
		want, wantNext, err := sd.Scan(ctx, after)
		require.NoError(t, err)
		got, gotNext, err := ctl.Scan(ctx, after)
		require.NoError(t, err)
		require.Equal(t, wantNext, gotNext)
		require.Len(t, got, len(want))
		for k := range want {
			require.Equal(t, want[k], got[k], fmt.Sprintf("entry %d behind entry %d", k, i))
		}
		require.Equal(t, all[i+1:], want)
	}
}
