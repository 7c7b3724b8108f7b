package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/cmd/internal/campaign"
	"chaos/corpus"
	"chaos/corpus/shrink"
	"chaos/model"
)

func TestCode_OneLineAndAnExitCode(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
		text string
	}{
		{nil, ExitOK, ""},
		{exit(ExitViolation), ExitViolation, ""},
		{usagef("--plans %d is negative", -1), ExitUsage, "chaos: --plans -1 is negative\n"},
		{usagef("chaos run: unknown flag"), ExitUsage, "chaos run: unknown flag\n"},
		{fmt.Errorf("save case: %w", fs.ErrPermission), ExitUsage, "chaos: save case: permission denied\n"},
		{&startError{fs.ErrNotExist}, ExitBroken, "chaos: start embedded stack: file does not exist\n"},
		{&campaign.BrokenError{What: "time runs\n backwards"}, ExitBroken, "chaos: the harness is broken: time runs backwards\n"},
		{&deadStack{errors.New("api ended")}, ExitBroken, "chaos: the stack has ended by itself: api ended\n"},
		{errors.New("anything else"), ExitBroken, "chaos: anything else\n"},
		{fmt.Errorf("get: %w", context.Canceled), ExitInconclusive, "chaos: interrupted\n"},
		{&startError{fmt.Errorf("start embedded stack: %w", context.Canceled)}, ExitInconclusive, "chaos: interrupted\n"},
		{&startError{errors.New("start embedded stack: no room")}, ExitBroken, "chaos: start embedded stack: no room\n"},
		{errors.New("answered \x1b[2J"), ExitBroken, "chaos: answered \\u001b[2J\n"},
	} {
		var out strings.Builder
		a := newApp(io.Discard, &out)
		require.Equal(t, c.code, a.code(c.err), "%v", c.err)
		require.Equal(t, c.text, out.String())
	}
}

func TestSummary_CodeAndClaim(t *testing.T) {
	full := func(n int) campaign.Counts {
		return campaign.Counts{Plans: 300, Inconclusive: 300 - n, Signs: campaign.Signs{Clients: 300, Boxes: 300, Together: 300, Shared: 300, Met: 300, Execs: 300, Output: 300, Full: n}}
	}
	done, half, most := full(300), full(150), full(149)
	noExec := done
	noExec.Signs.Execs = 0
	finding := []*campaign.Finding{{}}
	for name, c := range map[string]struct {
		s     summary
		code  int
		claim string
	}{
		"clean":                        {summary{stats: done}, ExitOK, "no findings; a bug that shows in 0.99 % of plans or more would have been seen (95 %)"},
		"half judged":                  {summary{stats: half}, ExitOK, "no findings; a bug that shows in 2 % of plans or more would have been seen (95 %)"},
		"less than half judged":        {summary{stats: most}, ExitInconclusive, "nothing: too little was done or could be judged to call this a pass"},
		"nothing done":                 {summary{}, ExitInconclusive, "nothing: too little"},
		"no exec":                      {summary{stats: noExec}, ExitInconclusive, "nothing: too little"},
		"interrupted":                  {summary{stats: done, interrupted: true}, ExitInconclusive, "interrupted; nothing was found in 300 plans"},
		"found":                        {summary{stats: done, findings: finding}, ExitViolation, "1 finding"},
		"found, then interrupted":      {summary{stats: done, findings: finding, interrupted: true}, ExitViolation, "1 finding"},
		"hangs":                        {summary{givenUp: 3}, ExitInconclusive, "nothing: the stack did not answer, and no plan came to an end"},
		"found two":                    {summary{stats: done, findings: []*campaign.Finding{{}, {}}}, ExitViolation, "2 findings"},
		"stack dead":                   {summary{stats: done, err: &deadStack{errors.New("x")}}, ExitBroken, "nothing: the stack or the harness is broken"},
		"found, then the stack died":   {summary{stats: done, findings: finding, err: &deadStack{errors.New("x")}}, ExitViolation, "1 finding"},
		"found, but harness is broken": {summary{stats: done, findings: finding, err: &campaign.BrokenError{What: "x"}}, ExitBroken, "nothing: the stack or the harness is broken"},
	} {
		require.Equal(t, c.code, c.s.code(), name)
		require.Contains(t, c.s.claim(), c.claim, name)
	}
}

func TestReplayCode(t *testing.T) {
	for _, c := range []struct {
		verdicts []corpus.Verdict
		code     int
	}{
		{nil, ExitOK},
		{[]corpus.Verdict{corpus.Fixed, corpus.Fixed}, ExitOK},
		{[]corpus.Verdict{corpus.Fixed, corpus.Stale}, ExitInconclusive},
		{[]corpus.Verdict{corpus.Errored, corpus.Fixed}, ExitInconclusive},
		{[]corpus.Verdict{corpus.Stale, corpus.Failed}, ExitViolation},
		{[]corpus.Verdict{corpus.Flaky, corpus.Stale}, ExitViolation},
	} {
		var reports []replayed
		for _, v := range c.verdicts {
			reports = append(reports, replayed{Report: corpus.Report{Verdict: v}})
		}
		require.Equal(t, c.code, replayCode(reports), "%v", c.verdicts)
	}
}

func TestUsableFolder(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, []byte("kept"), 0o644))
	require.NoError(t, usableFolder("--out", dir))
	require.NoError(t, usableFolder("--out", filepath.Join(dir, "a", "b", "c")))
	for _, bad := range []string{"", file, filepath.Join(file, "below"), "/proc/none", "/proc/none/below"} {
		err := usableFolder("--out", bad)
		var u *usage
		require.ErrorAs(t, err, &u)
		require.True(t, strings.HasPrefix(err.Error(), "--out "+bad), err)
		require.Contains(t, err.Error(), "name a")
	}
	requireOnly(t, dir, "file")
}

func TestUsableFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, []byte("kept"), 0o644))
	require.NoError(t, usableFile("--markdown", file))
	require.NoError(t, usableFile("--markdown", filepath.Join(dir, "new")))
	for _, bad := range []string{dir, filepath.Join(file, "below"), filepath.Join(dir, "a", "b"), "/proc/none"} {
		err := usableFile("--markdown", bad)
		var u *usage
		require.ErrorAs(t, err, &u)
		require.True(t, strings.HasPrefix(err.Error(), "--markdown "+bad), err)
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "kept", string(text))
	requireOnly(t, dir, "file")
}

func requireOnly(t *testing.T, dir, name string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.Equal(t, name, entries[0].Name())
}

func TestParseStack(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	t.Setenv(keyVariable, "")
	for text, want := range map[string]stackFlags{
		"embedded":                              {stack: "embedded"},
		" embedded  --bug stdout-race ":         {stack: "embedded", bugs: "stdout-race"},
		"--bug=stdout-race,exit-zero embedded":  {stack: "embedded", bugs: "stdout-race,exit-zero"},
		"embedded --bug stdout-race, exit-zero": {stack: "embedded", bugs: "stdout-race,exit-zero"},
		"http://127.0.0.1:3000/api --key K":     {stack: "http://127.0.0.1:3000/api", key: "K"},
	} {
		got, err := parseStack("--base", text)
		require.NoError(t, err)
		require.Equal(t, want, stackFlags{stack: got.stack, bugs: got.bugs, key: got.key})
	}
}

func TestProgress_Line(t *testing.T) {
	stats := &campaign.Stats{}
	stats.Add(&model.History{Plan: model.Plan{Steps: make([]model.Step, 7)}}, model.Verdict{Status: model.Pass})
	p := newProgress(newApp(io.Discard, io.Discard), runFlags{plans: 2}, stats, time.Now())
	p.doing = "shrinking: 40 steps to 12 in 80 runs"
	require.Equal(t, "0:00 · 1 plan left · shrinking: 40 steps to 12 in 80 runs · 0 findings · 1 plan · 7 steps · 0 execs · overlap 0 %", p.line())
	p = newProgress(newApp(io.Discard, io.Discard), runFlags{duration: time.Hour}, stats, time.Now().Add(-time.Minute))
	require.Equal(t, "1:00 · 59:00 left · 0 findings · 1 plan · 7 steps · 0 execs · overlap 0 %", p.line())
	p.began = time.Now().Add(-time.Hour)
	require.Contains(t, p.line(), "60:00 · time is up · 0 findings")
	p.ended = func() bool { return true }
	require.Contains(t, p.line(), " · stopping")
}

func TestOpenRunFolder_GivesEachRunItsOwn(t *testing.T) {
	t.Chdir(t.TempDir())
	seen := map[string]bool{}
	for range 4 {
		f, err := openRunFolder("", campaign.RunInfo{Seed: 7})
		require.NoError(t, err)
		require.False(t, seen[f.Dir()], f.Dir())
		seen[f.Dir()] = true
		require.True(t, strings.HasPrefix(f.Dir(), defaultOut+"/"))
		require.Contains(t, f.Dir(), "-seed-7")
	}
}

func TestBaseSearch_SaysWhatItDoes(t *testing.T) {
	b := &baseSearch{stats: &campaign.Stats{}, on: "embedded"}
	require.Equal(t, "searching the base embedded for a failure · 0 plans", b.line())
	f := campaign.Failure{Plan: model.Plan{Steps: make([]model.Step, 12)}}
	b.Found(f)
	require.Equal(t, "shrinking: a failure of 12 steps on embedded", b.line())
	b.Better(f, shrink.Progress{Plan: model.Plan{Steps: make([]model.Step, 3)}, Executions: 40})
	require.Equal(t, "shrinking: 12 steps to 3 in 40 runs on embedded", b.line())
}
