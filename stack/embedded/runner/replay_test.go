package runner

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// executions counts how often the runner has begun the job.
func (h *harness) executions(j job) int {
	return count(h.lines(), fmt.Sprintf("Executing job job_id=%s job_type=%s resource_type=box resource_id=%s", j.ID, j.Type, j.ResourceID))
}

// settle returns when the runner has no more to do with the jobs that box had so far.
func (h *harness) settle(box string) { h.job("PAINT_BOX", box) }

// An API that was restarted hands out again what it does not know to be completed. The runner does nothing
// twice and says again how it went.
func TestReplay_OfAJobThatIsDoneIsAnsweredAgain(t *testing.T) {
	h := start(t)
	create := job{ID: "create", Type: "CREATE_BOX", ResourceID: "Replayed0001"}
	stop := job{ID: "stop", Type: "STOP_BOX", ResourceID: "Replayed0001"}
	bad := job{ID: "bad", Type: "STOP_BOX", ResourceID: "nobox"}
	for _, j := range []job{create, stop, bad} {
		first := receive(t, h.api.submit(j)[0])
		h.settle(j.ResourceID)
		require.Equal(t, first, receive(t, h.api.submit(j)[0]))
		require.Equal(t, 1, h.executions(j))
	}
}

func TestReplay_MemoryIsBounded(t *testing.T) {
	q := newJobQueue(nil)
	for i := range keepDone + 10 {
		q.finish(fmt.Sprint(i), ending{})
		q.finish(fmt.Sprint(i), ending{coreID: "again"})
	}
	require.Len(t, q.done, keepDone)
	require.Len(t, q.doneIDs, keepDone)
	require.NotContains(t, q.done, "9")
	require.Equal(t, "again", q.done["10"].coreID)
}

func TestBug_CallbackLost(t *testing.T) {
	for _, c := range []struct {
		bug  string
		told int
	}{{"callback-lost", 0}, {"", 2}} {
		t.Run("with "+c.bug, func(t *testing.T) {
			h := startProcess(t, withBugs(c.bug)).harness
			h.api.mu.Lock()
			h.api.failNext = 1
			h.api.mu.Unlock()
			create := job{ID: "create", Type: "CREATE_BOX", ResourceID: "Lost00000001"}
			told := h.api.submit(create)[0]
			require.Eventually(t, func() bool { h.api.mu.Lock(); defer h.api.mu.Unlock(); return h.api.failNext == 0 }, deadline, time.Millisecond)
			if c.told > 0 {
				receive(t, told)
			}
			h.settle(create.ResourceID)
			h.api.submit(create) // the API was restarted
			if c.told > 0 {
				receive(t, told)
			}
			h.mustJob("STOP_BOX", create.ResourceID)
			h.mustJob("DESTROY_BOX", create.ResourceID)
			require.Empty(t, told, "never again")
			require.Equal(t, 1, h.executions(create))
		})
	}
}

func TestBug_ReplayDoublesCreate(t *testing.T) {
	for _, c := range []struct {
		bug  string
		made int
	}{{"replay-doubles-create", 2}, {"", 1}} {
		t.Run("with "+c.bug, func(t *testing.T) {
			h := startProcess(t, withBugs(c.bug)).harness
			stack := "stack-" + t.Name()
			create := job{ID: "create", Type: "CREATE_BOX", ResourceID: "Doubled00001"}
			told := h.api.submit(create)[0]
			first := receive(t, told)
			h.settle(create.ResourceID)
			h.exec(create.ResourceID, sh("sleep 60"))
			h.api.submit(create) // the API was restarted
			second := receive(t, told)
			require.Equal(t, c.made == 1, first == second)
			require.Equal(t, c.made, h.executions(create))
			h.mustJob("DESTROY_BOX", create.ResourceID)
			require.Equal(t, c.made == 1, len(marked(stack)) == 0, "the first of two outlives its removal")
		})
	}
}
