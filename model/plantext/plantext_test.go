package plantext_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/actions"
	"chaos/model"
	"chaos/model/gen"
	"chaos/model/plantext"
)

func TestText_GeneratedPlansPrintAndParseToThemselves(t *testing.T) {
	g := gen.Plans(actions.Drawables(), gen.Config{})
	steps := 0
	for seed := int64(1); steps < 10_000; seed++ {
		p := gen.At(g, seed)
		steps += len(p.Steps)
		text := plantext.Print(p)
		got, err := plantext.Parse(text, actions.Vocabulary{})
		require.NoError(t, err, text)
		require.Equal(t, p, got)
		require.Equal(t, text, plantext.Print(got))
	}
}

func TestParse_ErrorsNameThePlaceAndTheMend(t *testing.T) {
	for text, want := range map[string]string{
		"create":                             `line 1, column 1: "create" is not a client`,
		"a: b1 create":                       `line 1, column 7: want "=" after b1`,
		"a: b1 = craete":                     `line 1, column 9: no action is called "craete"; known actions: attach create exec`,
		"\n# c\na: get":                      "line 3, column 4: get acts on a box, like b1",
		"a: get e1":                          "line 1, column 4: get acts on a box",
		"a: create":                          `create makes a box, like b1: write "b1 = create"`,
		"a: b1 = get b2":                     "get makes nothing that b1 could name",
		"a: list b1":                         "list acts on nothing",
		"a: e1 = exec b1 stdout=x":           "column 17: stdout=x: want a whole number from 1 to 200000",
		"a: e1 = exec b1 stdout=1 stdout=2":  "stdout is given twice",
		"a: get b1 gap=-1ms":                 "gap=-1ms is not a positive duration",
		"a: get b1 after=x":                  "after=x does not name a box or an exec",
		"a: get b1 colour=red":               `get takes no argument "colour"; it takes: after gap`,
		"a: get b1 here":                     `"here" is neither a name`,
		"  a: get b1":                        `no "together" line stands before it`,
		"a: get b1\na: b1 = create":          "line 1, column 1: b1 is used before step 2 binds it",
		"together\n  a: get b1\n  a: get b1": "line 3, column 1: client a has two steps in one together block",
		"a: b1 = create\nb: b1 = create":     "line 2, column 1: b1 is already bound by step 1",
		"a: b1 =":                            "no action on this line",
		"a: b1=create":                       "known actions",
	} {
		_, err := plantext.Parse(text, actions.Vocabulary{})
		require.ErrorContains(t, err, want, text)
	}
}

func TestParse_TakesAStory(t *testing.T) {
	p, err := plantext.Parse("# about\na: b1 = create\n\ntogether\n  a: e1 = exec b1 stdout=200\n  b: stop b1 gap=3ms\nb: list after=e1\n", actions.Vocabulary{})
	require.NoError(t, err)
	require.Len(t, p.Steps, 4)
	require.Equal(t, model.Ref("e1"), p.Steps[3].After)
	require.Equal(t, p.Steps[1].Group, p.Steps[2].Group)
	require.Zero(t, p.Steps[3].Group)
}

func FuzzParse(f *testing.F) {
	g := gen.Plans(actions.Drawables(), gen.Config{MaxSteps: 12})
	for seed := range int64(8) {
		f.Add(plantext.Print(gen.At(g, seed+1)))
	}
	f.Add("together\n  a: get b1\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, vocab := range []model.Vocabulary{nil, actions.Vocabulary{}} {
			p, err := plantext.Parse(text, vocab)
			if err != nil {
				var pe *plantext.Error
				require.ErrorAs(t, err, &pe)
				require.Positive(t, pe.Line)
				continue
			}
			printed := plantext.Print(p)
			again, err := plantext.Parse(printed, vocab)
			require.NoError(t, err, printed)
			require.Equal(t, p, again)
			require.Equal(t, printed, plantext.Print(again))
		}
	})
}
