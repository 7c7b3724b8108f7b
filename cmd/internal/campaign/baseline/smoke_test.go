package baseline

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/model"
	"chaos/stack/embedded"
	"chaos/stack/embedded/bugs"
)

// TestRapid_IsSilentOnTheCleanStack is the other half of a fair comparison.
func TestRapid_IsSilentOnTheCleanStack(t *testing.T) {
	setUp(t, time.Second)
	for _, together := range []int{1, 4} {
		for _, onStopped := range []string{model.Reject, model.Autostart} {
			opt := embedded.Options{Flags: model.Flags{model.FlagExecOnStopped: onStopped}, SyncInterval: syncInterval}
			out := onStack(t, opt, func(target *embedded.Target) outcome {
				return rapidHunt(together)(t, "clean", target, limits{seed: time.Now().Unix(), workers: *workers, budget: *clean})
			})
			require.NoError(t, out.err)
			require.False(t, out.found, "%d at once, %s: %s\n%s", together, onStopped, out.problem, strings.Join(out.log, "\n"))
			t.Logf("%d at once, %s: %d runs", together, onStopped, out.tried)
		}
	}
}

// TestRapid_FindsABug keeps the comparison from rotting.
func TestRapid_FindsABug(t *testing.T) {
	setUp(t, time.Second)
	for _, together := range []int{1, 4} {
		out := onBug(t, bugs.SizeCoerced, func(target *embedded.Target) outcome {
			return rapidHunt(together)(t, "size-coerced", target, limits{seed: 1, workers: 3, budget: time.Minute, shrink: time.Second, again: 2})
		})
		require.NoError(t, out.err)
		require.Equal(t, "bad create: status 201", out.problem)
		require.Equal(t, 2, out.failures)
	}
}
