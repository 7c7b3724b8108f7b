package campaign

import (
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/model"
)

// seen is a history in which two clients meet on a box.
func seen() *model.History {
	const ms = int64(1e6)
	h := &model.History{Calls: []model.Call{
		{ID: 1, Client: "a", Op: model.OpCreate, Box: "b1", BoxID: "ID", Outcome: model.OK, Status: 201, Invoke: 1 * ms, Return: 2 * ms},
		{ID: 2, Client: "a", Op: model.OpStop, Box: "b1", BoxID: "ID", Outcome: model.OK, Status: 200, Invoke: 10 * ms, Return: 20 * ms},
		{ID: 3, Client: "b", Op: model.OpExec, Box: "b1", BoxID: "ID", Outcome: model.Rejected, Status: 409, Variant: "bad-dir", Invoke: 15 * ms, Return: 16 * ms},
		{ID: 4, Client: "a", Op: model.OpGet, Box: "b1", BoxID: "ID", Outcome: model.OK, Status: 200, Invoke: 19 * ms, Return: 30 * ms},
		{ID: 5, Client: "b", Op: model.OpExec, Box: "b2", Outcome: model.Rejected, Status: 404, Invoke: 19 * ms, Return: 30 * ms},
		{ID: 6, Client: "b", Op: model.OpList, Outcome: model.Unknown, GaveUp: true, Invoke: 31 * ms, Return: 40 * ms},
		{ID: 7, Client: "b", Op: model.OpList, Outcome: model.Unknown, Invoke: 41 * ms, Return: 50 * ms},
	}, Journal: model.Journal{Entries: []model.JournalEntry{
		{Message: "Executing job job_id=J1 job_type=STOP_BOX resource_id=ID"},
		{Message: "Executing job job_id=J2 job_type=STOP_BOX resource_id=ID2"},
		{Message: "Executing job job_id=J3 job_type=CREATE_BOX resource_id=ID2"},
	}}}
	h.Meta.Profile = "cloud"
	for i := range h.Calls {
		if h.Calls[i].Client == "" {
			h.Calls[i].Step = model.Harness
		}
	}
	return h
}

func TestCoverage_TellsWhatHappened(t *testing.T) {
	var c Coverage
	c.add(seen())
	require.Equal(t, map[string]int{
		"absent · create · 201": 1, "running · stop · 200": 1, "changing · exec:bad-dir · 409": 1, "changing · get · 200": 1,
		"absent · exec · 404": 1, "- · list · gave up": 1, "- · list · no answer": 1,
	}, c.Outcomes)
	require.Equal(t, map[string]int{"exec × stop": 1}, c.Pairs, "calls of one client, or on two boxes, do not meet")
	require.Equal(t, map[string]int{"Executing job job_id job_type=STOP_BOX resource_id": 1, "Executing job job_id job_type=CREATE_BOX resource_id": 1}, c.Lines)
}

func TestCoverage_CountsPlansAndKnowsWhatIsNew(t *testing.T) {
	var c Coverage
	c.add(seen())
	c.add(seen())
	require.Equal(t, 1, c.LastNew)
	require.Equal(t, 2, c.Pairs["exec × stop"])
	more := seen()
	more.Calls[4].Status = 400
	c.add(more)
	require.Equal(t, Covered{Outcomes: 8, Pairs: 1, Lines: 2, LastNew: 3}, c.covered())
	copied := c.clone()
	c.add(seen())
	require.Equal(t, 3, copied.Pairs["exec × stop"])
}
