package cli

import (
	"os/exec"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"chaos/corpus"
	"chaos/corpus/shrink"
	"chaos/model"
)

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"chaos": "chaos", "http://127.0.0.1:3000/api": "http://127.0.0.1:3000/api", "a,b": "a,b",
		"": "''", "my cases": "'my cases'", "it's": `'it'\''s'`, "$HOME": "'$HOME'", "a;b": "'a;b'", "~": "'~'", "*": "'*'", "a?b=c&d": "'a?b=c&d'",
	} {
		require.Equal(t, want, quote(in))
	}
}

// TestQuote_ComesBackFromAShell asks the judge of it.
func TestQuote_ComesBackFromAShell(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.StringMatching(`[ -~\n]{0,12}`), 1, 4).Draw(t, "words")
		line := "printf '%s\\0'"
		for _, w := range words {
			line += " " + quote(w)
		}
		out, err := exec.Command("sh", "-c", line).Output()
		require.NoError(t, err)
		require.Equal(t, strings.Join(words, "\x00")+"\x00", string(out))
	})
}

func TestReplayCommand_CanBePasted(t *testing.T) {
	t.Setenv(keyVariable, "")
	for want, f := range map[string]runFlags{
		" replay x": {stackFlags: stackFlags{stack: "embedded"}, corpus: defaultCorpus},
		" replay x --corpus 'my cases' --bug exit-zero,stdout-race": {stackFlags: stackFlags{stack: "embedded", bugs: " stdout-race, exit-zero"}, corpus: "my cases"},
		" replay x --stack http://127.0.0.1:1/api":                  {stackFlags: stackFlags{stack: "http://127.0.0.1:1/api", key: "secret"}, corpus: defaultCorpus},
	} {
		require.True(t, strings.HasSuffix(f.replayCommand("x"), want), f.replayCommand("x"))
	}
}

func TestKeyNeeded_SaysSoAndNeverTellsIt(t *testing.T) {
	t.Setenv(keyVariable, "")
	t.Setenv(otherKeyVariable, "")
	embedded, open, closed := stackFlags{stack: "embedded"}, stackFlags{stack: "http://127.0.0.1:1"}, stackFlags{stack: "http://127.0.0.1:1", key: "secret"}
	require.Empty(t, embedded.keyNeeded())
	require.Empty(t, open.keyNeeded())
	require.Equal(t, "needs the API key in BOXLITE_API_KEY", closed.keyNeeded())
	t.Setenv(keyVariable, "secret")
	require.Empty(t, embedded.keyNeeded())
	require.Equal(t, closed.keyNeeded(), open.keyNeeded())
	closed.otherKey = "other secret"
	require.Equal(t, "needs the API keys in BOXLITE_API_KEY and BOXLITE_OTHER_API_KEY", closed.keyNeeded())
	f := twoSidedFlags{corpus: "my cases"}
	again := f.againCommand(closed, stackFlags{stack: "embedded", bugs: "stdout-race, exit-zero"}, "x")
	require.True(t, strings.HasSuffix(again, " two-sided --base http://127.0.0.1:1 --candidate 'embedded --bug exit-zero,stdout-race' --corpus 'my cases' x"), again)
}

func TestCutVersion(t *testing.T) {
	for url, want := range map[string]string{"http://h/api/v1": "http://h/api", "http://h/api/v1/": "http://h/api", "http://h/v1": "http://h"} {
		base, has := cutVersion(url)
		require.True(t, has)
		require.Equal(t, want, base)
	}
	for _, url := range []string{"http://h/api", "http://h/", "http://h/api/v10", "http://v1"} {
		_, has := cutVersion(url)
		require.False(t, has, url)
	}
}

func TestVersionOf(t *testing.T) {
	info := &debug.BuildInfo{GoVersion: "go1.26"}
	require.Equal(t, "development build · go1.26", versionOf(info))
	require.Equal(t, "?", commitOf(info))
	info.Main.Version = "v1.2.3"
	info.Settings = []debug.BuildSetting{{Key: "vcs.revision", Value: "3f2c1ab"}, {Key: "vcs.modified", Value: "true"}, {Key: "-tags", Value: "sdjournal"}}
	require.Equal(t, "v1.2.3 · commit 3f2c1ab and uncommitted changes · tags sdjournal · go1.26", versionOf(info))
	require.Equal(t, "3f2c1ab+", commitOf(info))
}

func TestShrunk_TellsTheWholeStory(t *testing.T) {
	old := &corpus.Case{Plan: model.Plan{Steps: make([]model.Step, 5)}}
	res := shrink.Result{Executions: 30}
	require.Equal(t, "5 steps to 2 in 30 runs", shrunk(old, 2, res))
	old.Shrunk = "not shrunk"
	require.Equal(t, "5 steps to 5 in 30 runs", shrunk(old, 5, res))
	old.Shrunk = "28 steps to 5 in 57 runs"
	require.Equal(t, old.Shrunk, shrunk(old, 5, res), "nothing has changed")
	res.Interrupted, res.Stopped = true, "time budget spent"
	require.Equal(t, "28 steps to 5 in 57 runs; then to 2 in 30 runs, time budget spent", shrunk(old, 2, res))
}
