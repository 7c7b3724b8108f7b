package corpus

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/corpus/shrink"
	"chaos/model"
)

func sample(detail string, steps int, failures, runs int) *Case {
	c := &Case{
		Signature:   model.Signature{Invariant: "stdout-complete", Action: "exec", State: "running", Detail: detail},
		Certificate: shrink.NewCertificate(failures, runs, true),
	}
	for range steps {
		c.Plan.Steps = append(c.Plan.Steps, model.Step{Client: "a", Action: "list"})
	}
	return c
}

// otherPlan makes the plan another one of the same length, that is no simpler.
func otherPlan(c *Case) *Case {
	c.Plan.Steps[0].Gap = time.Millisecond
	return c
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestSave_NamesFilesAfterFindings(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	c := sample("truncated", 3, 5, 10)
	path, err := c.Save(dir)
	require.NoError(t, err)
	require.Regexp(t, `/stdout-complete-exec-truncated-[0-9a-f]{8}\.case$`, path)
	require.Equal(t, []string{c.Name + Ext}, files(t, dir), "no temporary file is left")

	back, err := Load(path, nil)
	require.NoError(t, err)
	require.Equal(t, c, back)

	again := sample("truncated", 2, 5, 10)
	same, err := again.Save(dir)
	require.NoError(t, err)
	require.Equal(t, path, same, "the same finding has the same file")

	withBug := sample("truncated", 3, 5, 10)
	withBug.Bugs = []string{"stdout-race"}
	other, err := withBug.Save(dir)
	require.NoError(t, err)
	require.NotEqual(t, path, other, "with other bugs switched on it is another finding")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o644), info.Mode().Perm())
}

func TestSave_NeverOverwritesAnotherFinding(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := sample("truncated", 3, 5, 10), sample("reordered", 3, 5, 10)
	a.Name, b.Name = "mine", "mine"
	pathA, err := a.Save(dir)
	require.NoError(t, err)
	pathB, err := b.Save(dir)
	require.NoError(t, err)
	require.Equal(t, "mine-2", b.Name)
	for path, want := range map[string]string{pathA: "truncated", pathB: "reordered"} {
		c, err := Load(path, nil)
		require.NoError(t, err)
		require.Equal(t, want, c.Signature.Detail)
	}

	// A file that cannot be read may hold a case of a newer form.
	broken := filepath.Join(dir, "odd.case")
	require.NoError(t, os.WriteFile(broken, []byte("# chaos case 2\n"), 0o600))
	c := sample("bleed", 1, 1, 1)
	c.Name = "odd"
	path, err := c.Save(dir)
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "odd-2.case"), path)
	data, err := os.ReadFile(broken)
	require.NoError(t, err)
	require.Equal(t, "# chaos case 2\n", string(data))

	// A name must not lead out of the directory.
	c = sample("lost", 1, 1, 1)
	c.Name = "../escaped"
	path, err = c.Save(dir)
	require.NoError(t, err)
	require.Equal(t, dir, filepath.Dir(path))
}

func TestSave_ManyAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var wg sync.WaitGroup
	errs := make([]error, 40)
	for i := range errs {
		wg.Go(func() {
			c := sample(fmt.Sprintf("kind-%d", i%20), 3, 5, 10)
			c.Name = "same" // forces all findings to fight over one name
			_, errs[i] = c.Save(dir)
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	cases, broken, err := LoadDir(dir, nil)
	require.NoError(t, err)
	require.Empty(t, broken)
	found := map[Finding]bool{}
	for _, c := range cases {
		found[c.Finding()] = true
	}
	require.Len(t, found, 20, "no finding was lost")
	for _, name := range files(t, dir) {
		require.False(t, strings.HasPrefix(name, "."), "temporary file %s was left", name)
	}
}

func TestSave_Errors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := sample("x", 1, 1, 1).Save(file)
	require.ErrorContains(t, err, "save case: ")
	_, err = sample("x", 0, 1, 1).Save(dir)
	require.ErrorContains(t, err, "the plan has no steps")
	require.Equal(t, []string{"file"}, files(t, dir))
}

func TestLoadDir_GoesOnPastBrokenFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := sample("truncated", 3, 5, 10).Save(dir)
	require.NoError(t, err)
	for name, text := range map[string]string{"aa.case": "nonsense\n", "zz.case": least, ".hidden.case": "nonsense", "README.md": "nonsense"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "sub.case"), 0o700))
	cases, broken, err := LoadDir(dir, nil)
	require.NoError(t, err)
	require.Len(t, cases, 2)
	require.Equal(t, "zz", cases[1].Name)
	require.Len(t, broken, 1)
	require.ErrorContains(t, broken[0], filepath.Join(dir, "aa.case")+":1:1: not a case")

	cases, broken, err = LoadDir(filepath.Join(dir, "missing"), nil)
	require.NoError(t, err)
	require.Empty(t, cases)
	require.Empty(t, broken)

	_, _, err = LoadDir(filepath.Join(dir, "README.md"), nil)
	require.ErrorContains(t, err, "load cases: ")
	_, err = Load(filepath.Join(dir, "missing.case"), nil)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestStore_KeepsTheBestCaseOfAFinding(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(dir, nil)
	require.NoError(t, err)
	require.Equal(t, dir, s.Dir())
	require.Empty(t, s.Cases())

	add := func(c *Case, want Added) string {
		t.Helper()
		got, path, err := s.Add(c)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.FileExists(t, path)
		return path
	}
	first := sample("truncated", 6, 30, 60)
	first.Reference, first.Extra = "#563", []Header{{"owner", "runner"}, {"note", "old"}}
	path := add(first, New)
	add(sample("truncated", 6, 30, 60), Duplicate)
	add(sample("truncated", 7, 60, 60), Duplicate)
	add(sample("truncated", 3, 2, 60), Duplicate)
	add(sample("reordered", 7, 60, 60), New)
	better := sample("truncated", 4, 25, 60)
	better.Extra = []Header{{"note", "new"}}
	require.Equal(t, path, add(better, Improved))
	add(sample("truncated", 4, 50, 60), Duplicate)
	add(otherPlan(sample("truncated", 4, 50, 60)), Improved)

	reopened, err := Open(dir, nil)
	require.NoError(t, err)
	require.Len(t, reopened.Cases(), 2)
	c, ok := reopened.Find(first.Finding())
	require.True(t, ok)
	require.Len(t, c.Plan.Steps, 4)
	require.Equal(t, 50, c.Certificate.Failures)
	require.Equal(t, "#563", c.Reference, "what people wrote is kept")
	require.Equal(t, []Header{{"note", "new"}, {"owner", "runner"}}, c.Extra)
}

func TestBetter(t *testing.T) {
	t.Parallel()
	search := func(c *Case) *Case { c.Certificate.Fresh = false; return c }
	never := func(c *Case) *Case { c.Certificate = shrink.Certificate{}; return c }
	for name, tc := range map[string]struct {
		a, b *Case
		want bool
	}{
		"shorter at the same rate":            {sample("x", 3, 30, 60), sample("x", 5, 30, 60), true},
		"shorter, and above the floor":        {sample("x", 3, 20, 60), sample("x", 5, 60, 60), true},
		"shorter, but hardly ever fails":      {sample("x", 3, 3, 60), sample("x", 6, 30, 60), false},
		"longer, but the other hardly fails":  {sample("x", 6, 30, 60), sample("x", 3, 3, 60), true},
		"longer":                              {sample("x", 6, 60, 60), sample("x", 3, 30, 60), false},
		"the same":                            {sample("x", 3, 30, 60), sample("x", 3, 30, 60), false},
		"more often, measured again":          {sample("x", 3, 60, 60), sample("x", 3, 30, 60), false},
		"more often, another plan":            {otherPlan(sample("x", 3, 40, 60)), sample("x", 3, 30, 60), true},
		"perhaps more often, another plan":    {otherPlan(sample("x", 3, 33, 60)), sample("x", 3, 30, 60), false},
		"measured against never measured":     {sample("x", 3, 1, 60), never(sample("x", 3, 0, 1)), true},
		"never measured against measured":     {never(sample("x", 3, 0, 1)), sample("x", 3, 1, 60), false},
		"fresh against search":                {sample("x", 3, 30, 60), search(sample("x", 3, 4, 4)), true},
		"search against fresh":                {search(sample("x", 3, 4, 4)), sample("x", 3, 30, 60), false},
		"shorter from a search not yet ended": {search(sample("x", 3, 4, 6)), sample("x", 9, 30, 60), true},
		"left after the shorter did not hold": {sample("x", 9, 30, 60), search(sample("x", 3, 4, 6)), true},
	} {
		require.Equal(t, tc.want, Better(tc.a, tc.b), name)
	}
	simpler, plain := sample("x", 1, 30, 60), sample("x", 1, 30, 60)
	plain.Plan.Steps[0].Gap = 1
	require.True(t, Better(simpler, plain))
	require.False(t, Better(plain, simpler))
}

func TestStore_RemoveAndPromote(t *testing.T) {
	t.Parallel()
	dir, suite := t.TempDir(), filepath.Join(t.TempDir(), "regressions")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bad.case"), []byte("nonsense"), 0o600))
	s, err := Open(dir, nil)
	require.NoError(t, err)
	require.Len(t, s.Broken(), 1)
	c := sample("truncated", 3, 30, 60)
	_, _, err = s.Add(c)
	require.NoError(t, err)

	path, err := s.Promote(c.Name, suite)
	require.NoError(t, err)
	promoted, err := Load(path, nil)
	require.NoError(t, err)
	require.Equal(t, c, promoted)
	require.Len(t, s.Cases(), 1, "the store keeps it")

	require.NoError(t, s.Remove(c.Name))
	require.Empty(t, s.Cases())
	require.Equal(t, []string{"bad.case"}, files(t, dir))
	require.ErrorContains(t, s.Remove(c.Name), "no case is called")
	_, err = s.Promote("nobody", suite)
	require.ErrorContains(t, err, `no case is called "nobody"`)
	added, _, err := s.Add(c)
	require.NoError(t, err)
	require.Equal(t, New, added, "a removed finding may come back")

	_, err = Open(filepath.Join(dir, "bad.case"), nil)
	require.Error(t, err)

	require.NoError(t, s.Remove("bad"), "what cannot be read can be removed")
	require.Empty(t, s.Broken())
	for _, bad := range []string{"", "..", "../" + filepath.Base(dir) + "/" + c.Name, ".hidden"} {
		require.ErrorContains(t, s.Remove(bad), "no case is called")
	}
	require.Equal(t, []string{c.Name + Ext}, files(t, dir))
}

func TestStore_RemovingTheBestLeavesTheNextBest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	best, second := sample("truncated", 3, 30, 60), sample("truncated", 5, 30, 60)
	for name, c := range map[string]*Case{"best": best, "second": second} {
		text, err := c.Text()
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name+Ext), text, 0o600))
	}
	s, err := Open(dir, nil)
	require.NoError(t, err)
	require.Len(t, s.Cases(), 1)
	path, err := s.Promote("second", filepath.Join(t.TempDir(), "suite"))
	require.NoError(t, err)
	promoted, err := Load(path, nil)
	require.NoError(t, err)
	require.Len(t, promoted.Plan.Steps, 5, "the one that was asked for")

	require.NoError(t, s.Remove("best"))
	c, ok := s.Find(best.Finding())
	require.True(t, ok)
	require.Equal(t, "second", c.Name)
}

func TestLoad_OnlyWhatCanBeACase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(t, syscall.Mkfifo(at("pipe.case"), 0o600))
	require.NoError(t, os.Symlink(at("gone"), at("dangling.case")))
	require.NoError(t, os.Symlink("/dev/zero", at("zero.case")))
	big := least + "# | " + strings.Repeat("x", MaxSize) + "\n"
	require.NoError(t, os.WriteFile(at("big.case"), []byte(big), 0o600))
	steps := strings.Replace(least, "a: stop b1\n", strings.Repeat("a: stop b1\n", MaxSteps+1), 1)
	require.NoError(t, os.WriteFile(at("long.case"), []byte(steps), 0o600))
	require.NoError(t, os.WriteFile(at("slow.case"), []byte(strings.Replace(least, "stop b1", "stop b1 gap=10000h", 1)), 0o600))

	cases, broken, err := LoadDir(dir, nil)
	require.NoError(t, err)
	require.Empty(t, cases)
	var said []string
	for _, b := range broken {
		var e *Error
		require.ErrorAs(t, b, &e, "it tells the file")
		said = append(said, strings.TrimPrefix(b.Error(), dir+"/"))
	}
	require.Equal(t, []string{
		"big.case: not a case: it is larger than 1024 KiB",
		"dangling.case: it is a link to a file that cannot be read: no such file or directory",
		"long.case:1005:1: the plan has 1001 steps; at most 1000 are performed",
		"pipe.case: not a case: it is no regular file",
		"slow.case:5:12: gap=10000h0m0s is longer than 1m0s; nobody waits for that",
		"zero.case: not a case: it is no regular file",
	}, said)
}

// The cases in the regression suite must be readable and stand in the form chaos writes.
func TestRegressions_ReadAndPrintBack(t *testing.T) {
	t.Parallel()
	cases, broken, err := LoadDir("regressions", nil)
	require.NoError(t, err)
	require.NoError(t, errors.Join(broken...))
	for _, c := range cases {
		want, err := os.ReadFile(filepath.Join("regressions", c.Name+Ext))
		require.NoError(t, err)
		got, err := c.Text()
		require.NoError(t, err)
		require.Equal(t, string(want), string(got), c.Name)
	}
}
