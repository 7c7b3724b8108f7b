package campaign

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/corpus"
	"chaos/corpus/shrink"
	"chaos/stack/embedded/bugs"
)

// sampled is how many rows of the record are proved in each run of the tests.
const sampled = 3

// TestRecord_Sample proves some rows of the record again, other ones every day: found by random plans,
// shrunk, fails again with the bug, passes on the clean stack. A race may be missed once; that none of
// three seeds does it all says that the tool has lost the bug.
func TestRecord_Sample(t *testing.T) {
	all := slices.DeleteFunc(bugs.All(), func(b bugs.Bug) bool { return b.Needs != "" }) // no plan has faults without being told to
	day := int(time.Now().Unix() / (24 * 60 * 60))
	for k := range sampled {
		b := all[(day*sampled+k)%len(all)]
		t.Run(string(b.ID), func(t *testing.T) {
			buggy, _ := startRigUnder(t, bugs.Set{b.ID: true}, b.Contract)
			clean, _ := startRigUnder(t, nil, b.Contract)
			for i := range int64(3) {
				trial := Try(t.Context(), buggy, clean, Trial{Bug: string(b.ID), Seed: int64(day)*10 + i},
					Config{Duration: patience, Workers: 3, Shrink: ShrinkConfig{Budget: 20 * time.Second, Parallel: 6}}, "embedded", noExcerpt)
				require.Empty(t, trial.Error)
				low, high := shrink.Interval(trial.Failures, trial.Runs)
				t.Logf("seed %d: found %v after %s, %d steps to %d, fails %d of %d (%.0f–%.0f %%), with the bug %s, clean %s",
					trial.Seed, trial.Found, trial.After.Round(time.Millisecond), trial.Before, trial.Steps, trial.Failures, trial.Runs, 100*low, 100*high, trial.Buggy, trial.Clean)
				if trial.Found && trial.Buggy != string(corpus.Fixed) && trial.Clean == string(corpus.Fixed) {
					return
				}
			}
			t.Fatal("no seed of three found it, failed again and passed on the clean stack")
		})
	}
}
