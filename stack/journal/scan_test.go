package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeScans is a journal whose n-th raw scan gives the n-th answer, and the last one for ever.
type fakeScans struct {
	answers []func(opened func()) ([]Entry, error)
	calls   int
}

func (f *fakeScans) scan(_ context.Context, _ string, _ Cursor, opened func()) ([]Entry, error) {
	answer := f.answers[min(f.calls, len(f.answers)-1)]
	f.calls++
	return answer(opened)
}

func cursor(seq int) string { return fmt.Sprintf("s=a1;i=%x;b=b;m=1;t=2;x=3", seq) }

// gives is the answer that shows these sequence numbers.
func gives(seqs ...int) func(func()) ([]Entry, error) {
	return func(opened func()) ([]Entry, error) {
		opened()
		var entries []Entry
		for _, s := range seqs {
			entries = append(entries, Entry{Cursor: cursor(s)})
		}
		return entries, nil
	}
}

func fails(text string) func(func()) ([]Entry, error) {
	return func(func()) ([]Entry, error) { return nil, errors.New(text) }
}

// TestScanOutlivesRaces puts each race that Scan knows of into the raw scans.
func TestScanOutlivesRaces(t *testing.T) {
	dir := t.TempDir()
	rotations := 0
	rotates := func(seqs ...int) func(func()) ([]Entry, error) {
		return func(opened func()) ([]Entry, error) {
			rotations++
			require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("system@%d.journal", rotations)), nil, 0o600))
			return gives(seqs...)(opened)
		}
	}
	type answers = []func(func()) ([]Entry, error)
	for name, c := range map[string]struct {
		answers answers
		after   int // 0 = from the beginning
		want    []int
		err     string
		calls   int
	}{
		"clean":                          {answers{gives(1, 2, 3)}, 0, []int{1, 2, 3}, "", 1},
		"clean, continued":               {answers{gives(2, 3)}, 2, []int{3}, "", 1},
		"nothing":                        {answers{gives()}, 0, nil, "", 1},
		"nothing new":                    {answers{gives(2)}, 2, nil, "", 1},
		"a gap that was a race":          {answers{gives(1, 2, 4), gives(1, 2, 3, 4)}, 0, []int{1, 2, 3, 4}, "", 2},
		"a real gap":                     {answers{gives(1, 2, 4, 5)}, 0, []int{1, 2, 4, 5}, "", 2},
		"a real gap behind the cursor":   {answers{gives(2, 4, 5)}, 2, []int{4, 5}, "", 2},
		"another gap in the second scan": {answers{gives(1, 3, 4), gives(1, 3, 4, 6)}, 0, []int{1, 3, 4}, "", 2},
		"a race, then another":           {answers{gives(1, 3), gives(1, 2, 3, 5)}, 0, []int{1, 2, 3}, "", 2},
		"a rotation while opening":       {answers{rotates(), gives(1, 2)}, 0, []int{1, 2}, "", 2},
		"an entry missed in a rotation":  {answers{gives(3), gives(2, 3)}, 2, []int{3}, "", 2},
		"an entry that is gone":          {answers{gives(7, 8)}, 2, nil, ErrLost.Error(), 2},
		"a journal that is gone":         {answers{gives()}, 2, nil, ErrLost.Error(), 2},
		"one failure":                    {answers{fails("broken"), gives(1)}, 0, []int{1}, "", 2},
		"a lasting failure":              {answers{fails("broken")}, 0, nil, "broken", 2},
		"many rotations while opening":   {answers{rotates(), rotates(1), rotates(), rotates(2), gives(1, 2)}, 0, []int{1, 2}, "", 5},
	} {
		t.Run(name, func(t *testing.T) {
			fake := &fakeScans{answers: c.answers}
			r := &dirReader{dir: dir, raw: fake.scan}
			var after Cursor
			if c.after > 0 {
				after = Cursor(cursor(c.after))
			}
			entries, next, err := r.Scan(testContext(t), after)
			require.Equal(t, c.calls, fake.calls)
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				require.Equal(t, after, next)
				return
			}
			require.NoError(t, err)
			var got []string
			for _, e := range entries {
				got = append(got, e.Cursor)
			}
			want, wantNext := []string(nil), after
			for _, s := range c.want {
				want = append(want, cursor(s))
				wantNext = Cursor(cursor(s))
			}
			require.Equal(t, want, got)
			require.Equal(t, wantNext, next)
		})
	}
}

func TestScanStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(testContext(t))
	cancel()
	r := &dirReader{dir: t.TempDir(), raw: (&fakeScans{answers: []func(func()) ([]Entry, error){gives(1)}}).scan}
	_, _, err := r.Scan(ctx, "")
	require.ErrorIs(t, err, context.Canceled)
}

func TestScanGivesUpOnRotationsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(testContext(t))
	rotations := 0
	r := &dirReader{dir: dir, raw: func(_ context.Context, _ string, _ Cursor, opened func()) ([]Entry, error) {
		if rotations++; rotations == 4 {
			cancel()
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("system@%d.journal", rotations)), nil, 0o600))
		return gives(1)(opened)
	}}
	entries, next, err := r.Scan(ctx, Cursor(cursor(1)))
	require.ErrorIs(t, err, errMoved)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, entries)
	require.Equal(t, Cursor(cursor(1)), next)
	require.Equal(t, 4, rotations)
}

func TestGapsAreLookedForPerSource(t *testing.T) {
	entry := func(source string, seq int) Entry { return Entry{Cursor: fmt.Sprintf("s=%s;i=%x;b=0", source, seq)} }
	require.Empty(t, findGaps([]Entry{entry("a", 9), entry("b", 1), entry("a", 10), entry("b", 2), {Cursor: "17"}, entry("a", 11)}))
	gaps := findGaps([]Entry{entry("a", 9), entry("b", 1), entry("a", 11), entry("b", 4)})
	require.Equal(t, []gap{{"a:9:11", 2}, {"b:1:4", 3}}, gaps)
}

func TestSyncWithoutVarlinkIsAnError(t *testing.T) {
	ctx := testContext(t)
	require.ErrorContains(t, (&dirReader{}).Sync(ctx), "no barrier")
	require.ErrorIs(t, (&dirReader{varlink: t.TempDir() + "/none"}).Sync(ctx), os.ErrNotExist)
}
