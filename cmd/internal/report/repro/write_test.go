package repro_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/actions"
	"chaos/cmd/internal/report/repro"
	"chaos/corpus"
)

// TestNew_EveryCaseIsWrittenOrRefusedInOneLine goes through the whole suite; programs hold no key, and what they
// could hold of one is only the name of its variable.
func TestNew_EveryCaseIsWrittenOrRefusedInOneLine(t *testing.T) {
	t.Setenv("BOXLITE_API_KEY", "blk_canary_4711")
	t.Setenv("BOXLITE_OTHER_API_KEY", "blk_canary_4711")
	cases, broken, err := corpus.LoadDir(regressions, actions.Vocabulary{})
	require.NoError(t, err)
	require.Empty(t, broken)
	written := 0
	for _, c := range cases {
		p, err := repro.New(c)
		require.NotContains(t, repro.Markdown(c, "source", "replay", err), "blk_canary")
		if err != nil {
			var cannot *repro.CannotError
			require.ErrorAs(t, err, &cannot)
			require.NotContains(t, err.Error(), "\n")
			continue
		}
		written++
		require.LessOrEqual(t, p.Rounds, 300)
		for _, k := range kinds {
			text, err := k.text(p)
			require.NoError(t, err, "%s as %s", c.Name, k.name)
			require.NotContains(t, text, "blk_canary")
			require.Contains(t, text, "Reproduces: "+c.Signature.String())
		}
	}
	require.GreaterOrEqual(t, written, 28, "of %d cases", len(cases))
}

// TestPrograms_CannotRunWithoutATarget: that is said in one line, and is neither a pass nor a failure.
func TestPrograms_CannotRunWithoutATarget(t *testing.T) {
	p, err := repro.New(load(t, executed[0]))
	require.NoError(t, err)
	code, out := perform(t, kinds[0], p, "BOXLITE_URL=", "BOXLITE_API_KEY=blk_canary_4711")
	require.Equal(t, 2, code)
	require.Equal(t, 1, strings.Count(out, "\n"), out)
	require.Contains(t, out, "set BOXLITE_URL (without /v1) and BOXLITE_API_KEY")
	code, out = perform(t, kinds[0], p, "BOXLITE_URL=http://127.0.0.1:1", "BOXLITE_API_KEY=blk_canary_4711")
	require.Equal(t, 2, code)
	require.Contains(t, out, "no answer from BOXLITE_URL")
	require.NotContains(t, out, "blk_canary")
}

// TestShell_SaysWhatIsMissing runs the script where there is no python3.
func TestShell_SaysWhatIsMissing(t *testing.T) {
	p, err := repro.New(load(t, "output-complete-attach-truncated-first-attach-b3a1eca9"))
	require.NoError(t, err)
	bin := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, "curl"), []byte("#!/bin/sh\n"), 0o755))
	shell := kinds[0]
	shell.run = func(f string) []string { return []string{"/bin/bash", f} }
	code, out := perform(t, shell, p, "PATH="+bin)
	require.Equal(t, 2, code)
	require.Contains(t, out, "python3 is missing")
}
