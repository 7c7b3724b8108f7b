package invariants

import (
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"chaos/model"
)

// drawHistory draws calls on one box with answers that need not make sense.
func drawHistory(t *rapid.T) *model.History {
	h := &model.History{Meta: model.Meta{Limits: model.Limits{Call: 5, Converge: 3}}}
	ops := []string{model.OpCreate, model.OpStart, model.OpStop, model.OpRemove, model.OpExec, model.OpGet, model.OpGet, model.OpList}
	for i := range rapid.IntRange(1, 9).Draw(t, "calls") {
		c := model.Call{ID: i, Op: rapid.SampledFrom(ops).Draw(t, "op"), Box: "b1", Outcome: model.OK, Status: 200}
		c.Invoke = rapid.Int64Range(0, 30).Draw(t, "invoke")
		c.Return = c.Invoke + rapid.Int64Range(0, 8).Draw(t, "length")
		switch c.Op {
		case model.OpGet, model.OpList:
			if s := rapid.SampledFrom([]string{"", "configured", "running", "stopping", "stopped"}).Draw(t, "shows"); s != "" {
				c.Boxes = []model.BoxView{{Ref: "b1", Status: s}}
			} else if c.Op == model.OpGet {
				c.Outcome, c.Status = model.Rejected, 404
			}
		default:
			switch rapid.IntRange(0, 5).Draw(t, "outcome") {
			case 0:
				c.Outcome, c.Status = model.Unknown, 0
			case 1:
				c.Outcome, c.Status = model.Rejected, rapid.SampledFrom([]int{409, 422, 500}).Draw(t, "status")
			}
		}
		h.Calls = append(h.Calls, c)
	}
	return h
}

func contracts() []model.Contract {
	var out []model.Contract
	for _, p := range model.Profiles() {
		for _, v := range []string{model.Reject, model.Autostart} {
			c, _ := model.Lookup(p, model.Flags{model.FlagExecOnStopped: v})
			out = append(out, c)
		}
	}
	return out
}

// Two algorithms with nothing in common but the lifecycle must agree: porcupine's search for an
// order, and the timeline's forward pass over all situations.
func TestLinear_PorcupineAndTheTimelineAgree(t *testing.T) {
	fits, not := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistory(t)
		f := newFacts(h, rapid.SampledFrom(contracts()).Draw(t, "contract"))
		legal := porcupine.CheckOperationsTimeout(lifecycle(f.life, "b1"), f.operations("b1"), 10*time.Second)
		require.NotEqual(t, porcupine.Unknown, legal)
		require.Equal(t, legal == porcupine.Ok, len(f.Timeline("b1").Contradictions) == 0, "%+v", h.Calls)
		if legal == porcupine.Ok {
			fits++
		} else {
			not++
		}
	})
	require.NotZero(t, fits)
	require.NotZero(t, not, "both answers must have come up")
}
