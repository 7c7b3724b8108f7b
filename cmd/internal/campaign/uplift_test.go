package campaign

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/actions"
	"chaos/corpus/shrink"
	"chaos/model"
	"chaos/model/gen"
	"chaos/stack/embedded"
	"chaos/stack/embedded/bugs"
)

// workloads are what somebody who does not think of races would write for the part where the bug is:
// a few clients, no gaps, nothing that starts together.
var workloads = []struct {
	bug  bugs.ID
	plan string
}{
	{bugs.StopExecOrphan, "a: b1 = create\na: list\na: list\na: list\na: list\na: e1 = exec b1\nb: stop b1 wait=no\n"},
	{bugs.NameRace, "a: b1 = create name=n1\n" + busy6 + "b: b2 = create name=n1\n"},
	{bugs.QuotaRace, "a: b1 = create\na: b2 = create\na: b3 = create\na: b4 = create\nb: list after=b3\n" + busy6 + "b: b5 = create\n"},
	{bugs.DoubleStop500, "a: b1 = create\na: stop b1\nb: list after=b1\n" + busy6 + busy6 + busy6 + "b: stop b1\n"},
	{bugs.PathBypass, "a: b1 = create\na: e1 = exec b1 attach=no\nb: list after=b1\n" + busy6 + busy6 + busy6 + "b: e2 = exec b1 attach=no\n"},
	{bugs.DoubleAttach, "a: b1 = create\na: e1 = exec b1 attach=no sleep=300ms\nb: attach e1\nc: list after=e1\n" + strings.ReplaceAll(busy6, "b:", "c:") + "c: attach e1\n"},
	{bugs.KillDrainHang, "a: b1 = create\na: e1 = exec b1 stdout=1\nb: list after=e1\n" + busy6 + "b: kill e1\n"},
	{bugs.SlotStuck, "a: b1 = create\na: e1 = exec b1 stdout=5\nb: attach e1\nb: attach e1 again=poll\n"},
	{bugs.SyncOverwrite, "a: b1 = create\na: stop b1\na: get b1\na: get b1\n"},
	{bugs.ListGhost, "a: b1 = create\na: remove b1\na: get b1\na: list\n"},
}

// busy6 keeps client b busy with something that meets nothing.
const busy6 = "b: list\nb: list\nb: list\nb: list\nb: list\nb: list\n"

// TestUplift measures how often each workload fails by itself and when the scheduler draws another
// schedule for each run. It takes long and runs only if CHAOS_UPLIFT says how many plans.
func TestUplift(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("CHAOS_UPLIFT"))
	if n == 0 {
		t.Skip("set CHAOS_UPLIFT to the number of plans for each bug, with and without the scheduler")
	}
	text := "| bug | by itself | with the scheduler | uplift |\n|---|---|---|---|\n"
	for _, w := range workloads {
		t.Run(string(w.bug), func(t *testing.T) {
			plan := parsePlan(t, w.plan)
			var failed [2]int
			for side := range failed {
				contract := embedded.Options{}
				flags, err := bugs.Contract(bugs.Set{w.bug: true})
				require.NoError(t, err)
				contract.Bugs, contract.Flags, contract.Schedule = bugs.Set{w.bug: true}, flags, side == 1
				rig, _ := startRigWith(t, contract)
				failed[side] = failures(t, rig, plan, side == 1, n)
			}
			base, with := shrink.NewCertificate(failed[0], n, true), shrink.NewCertificate(failed[1], n, true)
			text += fmt.Sprintf("| %s | %s | %s | %.1f × |\n", w.bug, base, with, float64(failed[1])/max(float64(failed[0]), 0.5))
		})
	}
	fmt.Println(text)
}

// failures counts how many of n runs of plan break a promise.
func failures(t *testing.T, rig *Rig, plan model.Plan, scheduled bool, n int) int {
	way := func(name string) model.Way {
		spec, _ := actions.Vocabulary{}.Lookup(name)
		return spec.Way
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	failed, next := 0, 0
	for range 6 {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= n {
					return
				}
				p := plan
				if scheduled {
					p = gen.ScheduleAt(plan, way, int64(i))
				}
				_, v, err := rig.Perform(t.Context(), p, int64(i))
				require.NoError(t, err)
				if len(v.Violations) > 0 {
					mu.Lock()
					failed++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return failed
}
