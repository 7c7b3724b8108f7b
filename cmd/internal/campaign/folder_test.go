package campaign

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/actions"
	"chaos/model"
)

// history is a small one, told apart by its seed.
func history(t *testing.T, seed int64) *model.History {
	return &model.History{
		Plan:  parsePlan(t, "a: b1 = create\nb: list after=b1\n"),
		Meta:  model.Meta{Profile: "cloud", Token: fmt.Sprintf("t-%d", seed), Seed: seed, Stack: "test", Began: time.Unix(seed, 0).UTC()},
		Calls: []model.Call{{Op: model.OpCreate, Client: "a", Box: "b1", BoxID: "ID1", Outcome: model.OK, Status: 201, Invoke: 1, Return: 2}},
	}
}

func saved(t *testing.T, dir string) []Saved {
	t.Helper()
	var out []Saved
	require.Empty(t, ReadFolder(dir, actions.Vocabulary{}, func(s Saved) { out = append(out, s) }))
	return out
}

func openFolder(t *testing.T) *Folder {
	t.Helper()
	f, err := OpenFolder(filepath.Join(t.TempDir(), "new", "run"), RunInfo{})
	require.NoError(t, err)
	return f
}

func TestFolder_KeepsAHistoryBeforeItsVerdict(t *testing.T) {
	f := openFolder(t)
	done, err := f.Save(history(t, 1))
	require.NoError(t, err)

	// A judge that dies now has lost nothing.
	got := saved(t, f.Dir())
	require.Len(t, got, 1)
	require.Nil(t, got[0].Verdict)
	require.Equal(t, history(t, 1), got[0].History)

	want := model.Verdict{Status: model.Violated, Violations: []model.Violation{{Signature: stopped, Message: "m", Calls: []int{0}}}}
	done(want)
	got = saved(t, f.Dir())
	require.Len(t, got, 1)
	require.Equal(t, &want, got[0].Verdict)

	// One history can be read by itself.
	require.Equal(t, got, saved(t, got[0].Path))
}

func TestFolder_KeepsTheLatestPassesAndEveryOther(t *testing.T) {
	f := openFolder(t)
	for i := range int64(30) {
		done, err := f.Save(history(t, i))
		require.NoError(t, err)
		status := model.Pass
		if i%10 == 3 {
			status = model.Violated
		} else if i%10 == 4 {
			status = model.Inconclusive
		}
		done(model.Verdict{Status: status})
	}
	var passes, others []int64
	for _, s := range saved(t, f.Dir()) {
		if s.Verdict.Status == model.Pass {
			passes = append(passes, s.History.Meta.Seed)
		} else {
			others = append(others, s.History.Meta.Seed)
		}
	}
	require.Equal(t, []int64{18, 19, 20, 21, 22, 25, 26, 27, 28, 29}, passes)
	require.Equal(t, []int64{3, 4, 13, 14, 23, 24}, others)
}

func TestFolder_BoundsTheViolations(t *testing.T) {
	f := openFolder(t)
	for i := range int64(keptViolated + 5) {
		done, err := f.Save(history(t, i))
		require.NoError(t, err)
		done(model.Verdict{Status: model.Violated})
	}
	got := saved(t, f.Dir())
	require.Len(t, got, keptViolated)
	require.Equal(t, int64(0), got[0].History.Meta.Seed, "the first ones stay")
}

func TestFolder_IsNotSharedByRuns(t *testing.T) {
	f := openFolder(t)
	_, err := f.Save(history(t, 1))
	require.NoError(t, err)
	_, err = OpenFolder(f.Dir(), RunInfo{})
	require.ErrorContains(t, err, f.Dir()+" is not empty")
	require.ErrorContains(t, Vacant(f.Dir()), "is not empty")

	empty := t.TempDir()
	require.NoError(t, Vacant(empty))
	require.NoError(t, Vacant(filepath.Join(empty, "none")))
	_, err = OpenFolder(empty, RunInfo{})
	require.NoError(t, err)

	file := filepath.Join(empty, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	_, err = OpenFolder(filepath.Join(file, "below"), RunInfo{})
	require.ErrorContains(t, err, file)
	require.Error(t, Vacant(file))
}

func TestReadFolder_ReadsWhatItCan(t *testing.T) {
	f := openFolder(t)
	for i := range int64(4) {
		done, err := f.Save(history(t, i))
		require.NoError(t, err)
		done(model.Verdict{Status: model.Pass})
	}
	write := func(sub, name, text string) string {
		path := filepath.Join(f.Dir(), sub, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		return path
	}
	bad := []string{
		write("000001", planFile, "a: b1 = create\na: dance b1\n"),
		write("000002", historyFile, `{"meta":{`),
		write("000003", verdictFile, "{"),
	}
	require.NoError(t, os.Mkdir(filepath.Join(f.Dir(), "notes"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(f.Dir(), "notes.txt"), nil, 0o644))

	var seeds []int64
	errs := ReadFolder(f.Dir(), actions.Vocabulary{}, func(s Saved) { seeds = append(seeds, s.History.Meta.Seed) })
	require.Equal(t, []int64{3}, seeds)
	require.Len(t, errs, 3)
	for i, err := range errs {
		require.ErrorContains(t, err, bad[i], "the file is named")
	}
	require.ErrorContains(t, errs[0], "line 2")

	errs = ReadFolder(filepath.Join(f.Dir(), "none"), actions.Vocabulary{}, func(Saved) { t.Error("nothing to read") })
	require.Len(t, errs, 1)
	require.ErrorIs(t, errs[0], os.ErrNotExist)
}

// TestOpenFolder_OneRunGetsIt lets many runs want one folder at the same moment.
func TestOpenFolder_OneRunGetsIt(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "wanted", "by", "all")
	var wg sync.WaitGroup
	errs := make([]error, 32)
	for i := range errs {
		wg.Go(func() { _, errs[i] = OpenFolder(dir, RunInfo{Stack: "embedded", Seed: int64(i)}) })
	}
	wg.Wait()
	got := -1
	for i, err := range errs {
		if err == nil {
			require.Equal(t, -1, got, "two runs got one folder")
			got = i
			continue
		}
		var taken *TakenError
		require.ErrorAs(t, err, &taken)
	}
	require.NotEqual(t, -1, got)
	text, err := os.ReadFile(filepath.Join(dir, runFile))
	require.NoError(t, err)
	require.Contains(t, string(text), fmt.Sprintf(`"seed": %d`, got))
	require.Contains(t, string(text), `"stack": "embedded"`)
}
