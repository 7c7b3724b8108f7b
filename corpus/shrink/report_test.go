package shrink

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/model"
	"chaos/model/plantext"
)

func TestShrink_ReportsSlips(t *testing.T) {
	t.Parallel()
	violation := func(detail string) model.Violation {
		return model.Violation{Signature: model.Signature{Invariant: "other", Action: "remove", Detail: detail}}
	}
	f := newFake(1, stopRace, 1, 0)
	removes := func(p model.Plan) bool {
		return slices.ContainsFunc(p.Steps, func(s model.Step) bool { return s.Action == "remove" })
	}
	start := startPlan(1, func(p model.Plan) bool { return stopRace(p) && removes(p) })
	var told []model.Signature
	res, err := Shrink(context.Background(), start, func(ctx context.Context, p model.Plan) (Outcome, error) {
		out, err := f.run(ctx, p)
		if removes(p) {
			out.Slips = []model.Violation{violation("500")}
			if out.Failed {
				out.Slips = append(out.Slips, violation("503"))
			}
		}
		return out, err
	}, Options{Vocab: words{}, OnSlip: func(v model.Violation, p model.Plan) {
		require.True(t, removes(p))
		told = append(told, v.Signature)
	}})
	require.NoError(t, err)
	require.Equal(t, []model.Signature{violation("500").Signature, violation("503").Signature}, told, "each signature is told once")
	require.Len(t, res.Slips, 2)
	for _, s := range res.Slips {
		require.Greater(t, s.Times, 1)
		require.True(t, removes(s.Plan))
		require.Less(t, len(s.Plan.Steps), len(start.Steps), "the simplest plan that showed it is kept")
	}
	require.False(t, removes(res.Shortest.Plan))
}

func TestShrink_InconclusiveRunsAreNeitherFailureNorPass(t *testing.T) {
	t.Parallel()
	f := newFake(1, stopRace, 1, 0)
	n := 0
	res, err := Shrink(context.Background(), startPlan(1, stopRace), func(ctx context.Context, p model.Plan) (Outcome, error) {
		if n++; n%3 == 0 {
			return Outcome{Inconclusive: true}, nil
		}
		return f.run(ctx, p)
	}, Options{Vocab: words{}})
	require.NoError(t, err)
	require.Equal(t, 4, len(res.Shortest.Plan.Steps))
	require.Equal(t, NewCertificate(20, 20, true), res.Shortest.Certificate)
	require.Equal(t, n, res.Executions)
	require.Equal(t, n/3, res.Inconclusive)

	// Plans of which nothing can be said are refused and do not hold shrinking up for ever.
	res, err = Shrink(context.Background(), startPlan(1, stopRace), func(ctx context.Context, p model.Plan) (Outcome, error) {
		if len(p.Steps) < 20 {
			return Outcome{Inconclusive: true}, nil
		}
		return f.run(ctx, p)
	}, Options{Vocab: words{}})
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(res.Shortest.Plan.Steps), 20)

	res, err = Shrink(context.Background(), startPlan(1, stopRace), func(context.Context, model.Plan) (Outcome, error) {
		return Outcome{Inconclusive: true}, nil
	}, Options{Vocab: words{}})
	require.NoError(t, err)
	require.True(t, res.Flaky)
	require.Equal(t, maxEstimate, res.Executions)
}

func TestShrink_DropsUnreachedStepsFirst(t *testing.T) {
	t.Parallel()
	p, err := plantext.Parse("a: b1 = create\na: e1 = exec b1 stdout=50\nb: b2 = create\nb: e2 = exec b2 stdout=40\nb: info e2\na: get b1\n", words{})
	require.NoError(t, err)
	f := newFake(1, bigOutput, 1, 0)
	var first Progress
	_, err = Shrink(context.Background(), p, func(ctx context.Context, p model.Plan) (Outcome, error) {
		out, err := f.run(ctx, p)
		for i := range p.Steps {
			out.Reached = append(out.Reached, i < 2)
		}
		return out, err
	}, Options{Vocab: words{}, OnBetter: func(p Progress) {
		if first.Pass == "" {
			first = p
		}
	}})
	require.NoError(t, err)
	require.Equal(t, "unreached steps", first.Pass)
	require.Equal(t, "a: b1 = create\na: e1 = exec b1 stdout=50\n", plantext.Print(first.Plan))
}

func TestShrink_TriesTheBoxesOfTheViolationFirst(t *testing.T) {
	t.Parallel()
	p, err := plantext.Parse("a: b4 = create\na: e3 = exec b4\nb: b2 = create\nb: e9 = exec b2 stdout=40\nb: info e9\na: info e3\n", words{})
	require.NoError(t, err)
	var first Progress
	_, err = Shrink(context.Background(), p, newFake(1, bigOutput, 1, 0).run, Options{
		Vocab: words{}, Focus: []model.Ref{"b2"}, OnBetter: func(p Progress) {
			if first.Pass == "" {
				first = p
			}
		}})
	require.NoError(t, err)
	require.Equal(t, "boxes of the violation", first.Pass)
	require.Equal(t, "a: b1 = create\na: e1 = exec b1 stdout=40\na: info e1\n", plantext.Print(first.Plan))
}

func TestShrink_WithoutVocabulary(t *testing.T) {
	t.Parallel()
	p, err := plantext.Parse("a: b1 = create image=debian\na: e1 = exec b1 sleep=100ms stdout=4000\n", nil)
	require.NoError(t, err)
	res, err := Shrink(context.Background(), p, newFake(1, bigOutput, 1, 0).run, Options{})
	require.NoError(t, err)
	require.Equal(t, "a: b1 = create\na: e1 = exec b1 stdout=37\n", plantext.Print(res.Shortest.Plan))
}
