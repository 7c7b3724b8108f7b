package campaign

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/model"
)

func TestSeries_CountsAnswersByTheTimeTheyCame(t *testing.T) {
	var s Series
	began := time.Unix(1000, 0)
	ms := int64(time.Millisecond)
	lost, session := call("a", "b1", 0, 10), call("a", "b1", 0, 10)
	lost.Outcome, session.Op = model.Unknown, model.OpAttach
	s.add(&model.History{Meta: model.Meta{Began: began, Faults: []model.Fault{{Name: "f", From: 5, To: 9}}},
		Calls: []model.Call{call("a", "b1", 0, 10*ms), call("a", "b1", 0, 1500*ms), lost, session}})
	require.Len(t, s.Slots, 2)
	require.Equal(t, 1, s.Slots[0].Calls)
	require.InEpsilon(t, 0.010, s.Slots[0].Quantile(0.95).Seconds(), 0.2)
	require.Equal(t, []Span{{"f", 5, 9}}, s.Faults)

	// What comes an hour later makes the slots wider, and loses none.
	s.add(&model.History{Meta: model.Meta{Began: began.Add(time.Hour)}, Calls: []model.Call{call("a", "b1", 0, ms)}})
	require.LessOrEqual(t, len(s.Slots), mostSlots)
	require.Equal(t, 32*time.Second, s.Width)
	require.Equal(t, 2, s.Slots[0].Calls)
	require.Greater(t, s.Slots[0].Quantile(0.95), time.Second)
	require.Zero(t, s.Slots[1].Quantile(0.5))
}
