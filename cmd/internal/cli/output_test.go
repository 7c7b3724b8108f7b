package cli

import (
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"fails 41 of 60 · 55–80 %\n\tx": "fails 41 of 60 · 55–80 %\n\tx",
		"\x1b[2J\x1b]0;title\a":         `\u001b[2J\u001b]0;title\u0007`,
		"back\b\rover":                  `back\u0008\u000dover`,
		"\u009b2J and \x7f":             `\u009b2J and \u007f`,
		"\x9b2J":                        `\x9b2J`,
		"a\u202eb\u2066c":               `a\u202eb\u2066c`,
		"\ufffd":                        "\ufffd",
	} {
		require.Equal(t, want, plain(in))
	}
}

// TestGuard_WhateverComesInPieces is the same as when it comes at once, and never a control character.
func TestGuard_WhateverComesInPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "text")
		var out strings.Builder
		g := &guard{w: &out, line: newStatusLine(io.Discard)}
		for rest := text; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "n")
			wrote, err := g.Write([]byte(rest[:n]))
			require.NoError(t, err)
			require.Equal(t, n, wrote)
			rest = rest[n:]
		}
		require.NoError(t, g.close())
		require.Equal(t, plain(text), out.String())
		require.True(t, utf8.ValidString(out.String()))
		require.NotContains(t, out.String(), "\x1b")
		require.Equal(t, -1, strings.IndexFunc(out.String(), hidden))
	})
}

// fullDisk takes a few bytes and no more.
type fullDisk struct{ room int }

var errFull = errors.New("no space left on device")

func (d *fullDisk) Write(p []byte) (int, error) {
	if d.room -= len(p); d.room < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestMain_OutputThatIsLostIsNoSuccess(t *testing.T) {
	var err strings.Builder
	require.Equal(t, ExitBroken, Main([]string{"actions"}, &fullDisk{room: 100}, &err))
	require.Equal(t, "chaos: write stdout: no space left on device\n", err.String())
	err.Reset()
	require.Equal(t, ExitUsage, Main([]string{"bugs", "show", "nope"}, &fullDisk{}, &err), "nothing was lost")
	require.Equal(t, ExitOK, Main([]string{"--version"}, io.Discard, io.Discard))
}

// screen is a terminal of the given width.
func screen(width int) (*app, *strings.Builder) {
	var b strings.Builder
	a := newApp(io.Discard, &b)
	a.line.terminal, a.line.width = true, func() int { return width }
	return a, &b
}

func TestStatusLine_OnATerminalItIsRedrawn(t *testing.T) {
	a, out := screen(0)
	a.line.draw("plans 1 · steps 7 · shrinking")
	first := out.String()
	require.Equal(t, "\rplans 1 · steps 7 · shrinking", first)
	a.line.draw("plans 2")
	second := strings.TrimPrefix(out.String(), first)
	require.NotContains(t, second, "\n")
	require.Len(t, []rune(second), len([]rune(first)), "the shorter line covers the longer one")
	_, err := io.WriteString(a.err, "chaos: a message\n")
	require.NoError(t, err)
	require.Equal(t, "\r       \rchaos: a message\n", strings.TrimPrefix(out.String(), first+second), "the line makes room")
	before := out.Len()
	a.line.clear()
	require.Equal(t, before, out.Len(), "nothing stands there")
}

func TestStatusLine_KeepsToTheWidthOfTheTerminal(t *testing.T) {
	a, out := screen(12)
	a.line.draw("0123456789 and more")
	require.Equal(t, "\r0123456789…", out.String())
	a.line.clear()
	out.Reset()
	a.line.draw("01234567890")
	require.Equal(t, "\r01234567890", out.String())
	out.Reset()
	a.line.draw("\x1b[2J")
	require.NotContains(t, out.String(), "\x1b")
}

func TestStatusLine_ElsewhereItIsLines(t *testing.T) {
	var out strings.Builder
	a := newApp(io.Discard, &out)
	require.Equal(t, 10*time.Second, a.line.every)
	a.line.draw("one")
	a.line.draw("two")
	a.line.clear()
	require.Equal(t, "one\ntwo\n", out.String())
}

func TestStatusLine_ShowEndsAndLeavesNothing(t *testing.T) {
	a, out := screen(80)
	a.line.every = time.Millisecond
	var mu sync.Mutex
	drawn := 0
	stop := a.line.show(func() string {
		mu.Lock()
		defer mu.Unlock()
		drawn++
		return "working"
	})
	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return drawn > 2
	}, time.Minute, time.Millisecond)
	stop()
	stop()
	require.True(t, strings.HasSuffix(out.String(), "\r       \r"), "the terminal is left clean")
}
