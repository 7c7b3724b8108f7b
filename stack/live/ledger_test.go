package live

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLedger_BeginsANewFileAndCarriesOverWhatMatters(t *testing.T) {
	dir := t.TempDir()
	l, err := openLedger(dir, "http://127.0.0.1:1", "p")
	require.NoError(t, err)
	l.limit, l.recent = 2000, 0
	require.NoError(t, l.ask("open"))
	require.NoError(t, l.ask("kept"))
	require.NoError(t, l.made("id-kept", "kept"))
	for i := range 200 {
		name := fmt.Sprint("n", i)
		require.NoError(t, l.ask(name))
		require.NoError(t, l.made("id-"+name, name))
		require.NoError(t, l.gone("id-"+name))
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Len(t, paths, 1)
	text, err := os.ReadFile(paths[0])
	require.NoError(t, err)
	require.Less(t, len(text), 3000)
	sum, err := readAccount(strings.NewReader(string(text)))
	require.NoError(t, err)
	require.Equal(t, map[string]string{"id-kept": "kept"}, sum.Boxes)
	require.Contains(t, sum.Open, "open")
	require.Equal(t, paths[0], l.close(), "something may be left")
}

func TestReadAccount_ATornLastLineIsNone(t *testing.T) {
	const whole = "{\"url\":\"http://127.0.0.1:1\",\"at\":\"2026-01-02T03:04:05Z\"}\n{\"ask\":\"a\",\"at\":\"2026-01-02T03:04:05Z\"}\n"
	for cut := range len("{\"made\":\"i\"") {
		sum, err := readAccount(strings.NewReader(whole + "{\"made\":\"i\""[:cut]))
		require.NoError(t, err)
		require.Equal(t, map[string]time.Time{"a": time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}, sum.Open)
		require.True(t, sum.owns("x", "a"))
		require.False(t, sum.owns("x", "b") || sum.owns("", ""))
	}
}

func FuzzReadAccount(f *testing.F) {
	f.Add("{\"url\":\"u\"}\n{\"ask\":\"a\"}\n{\"made\":\"i\",\"name\":\"a\"}\n{\"gone\":\"i\"}\n")
	f.Add("{}\n")
	f.Add("{\"url\":\"u\"}\nnull\n")
	f.Fuzz(func(t *testing.T, text string) {
		sum, err := readAccount(strings.NewReader(text))
		if err == nil && sum.owns("", "") {
			t.Fatalf("%q owns what has neither id nor name", text)
		}
	})
}
