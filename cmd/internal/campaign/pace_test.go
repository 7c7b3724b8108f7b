package campaign

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/model"
)

func TestPace_IsBoundedHoweverLongARunIs(t *testing.T) {
	var p Pace
	began := time.Now()
	calls := 0
	for i := range 500 {
		h := &model.History{Meta: model.Meta{Began: began}}
		for k := range 10 {
			h.Calls = append(h.Calls, model.Call{Op: model.OpGet, Outcome: model.OK, Return: int64(k+1) * int64(time.Millisecond)})
		}
		p.Add(h)
		calls += 10
		p.began = began.Add(-time.Duration(i) * time.Second) // as if each came a second later
	}
	points := p.Points()
	require.LessOrEqual(t, len(points), mostSlices)
	require.Greater(t, len(points), mostSlices/4)
	sum, plans := 0.0, 0
	for _, x := range points {
		sum += x.Calls * p.width.Seconds()
		plans += x.Plans
		if x.Plans > 0 {
			require.InDelta(t, 6, x.P50, 2)
			require.GreaterOrEqual(t, x.P95, x.P50)
		}
	}
	require.InDelta(t, float64(calls), sum, 1)
	require.Equal(t, 500, plans)
}
