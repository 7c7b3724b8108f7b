package campaign_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/actions"
	"chaos/cmd/internal/campaign"
	"chaos/model"
	"chaos/model/gen"
	"chaos/stack/embedded"
	"chaos/stack/embedded/sandbox"
)

// TestClean_NoAlarmWhereTheMachineAllowsLess performs random plans on clean stacks with every
// isolation of boxes and both kinds of journal: what a machine lacks must not look like a bug.
func TestClean_NoAlarmWhereTheMachineAllowsLess(t *testing.T) {
	best, _ := sandbox.Probe()
	for mode := best; mode <= sandbox.Plain; mode++ {
		t.Run(mode.String(), func(t *testing.T) {
			s, err := embedded.Start(t.Context(), embedded.Options{Sandbox: &mode, ForceFileJournal: mode == sandbox.Plain, SyncInterval: 15 * time.Millisecond})
			require.NoError(t, err)
			target := embedded.NewTarget(s)
			rig, err := campaign.NewRig(target)
			require.NoError(t, err)
			t.Cleanup(func() {
				rig.Close()
				target.Close()
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				defer cancel()
				require.NoError(t, s.Stop(ctx))
			})
			plans := gen.Plans(actions.Drawables(), gen.Config{})
			for i := range 20 {
				_, v, err := rig.Perform(t.Context(), gen.At(plans, campaign.PlanSeed(31, i)), 0)
				require.NoError(t, err)
				require.Empty(t, v.Violations, "plan %d", i)
				require.NotEqual(t, model.Violated, v.Status)
			}
		})
	}
}
