package corpus

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"chaos/corpus/shrink"
	"chaos/model"
	"chaos/model/plantext"
)

const full = `# chaos case 1
# signature: stdout-complete · exec · running · truncated
# promise: everything a command writes arrives before its exit code
# found: 2026-03-02, seed 7718281
# build: embedded 3f2c1ab
# bugs: code-mismatch, stdout-race
# reference: #563
# certificate: fails 41 of 60 fresh runs (95 %: 55–80 %)
# shrunk: 34 steps to 3 in 118 runs
# owner: runner
# note: two  spaces: kept

a: b1 = create
together
  a: e1 = exec b1 stdout=200
  b: stop b1 gap=3ms

# | +12.1ms a exec e1 → 201
# |
# |   +15.3ms b stop b1 → 200
`

const least = `# chaos case 1
# signature: no-5xx · stop · - · -
# bugs:

a: stop b1
`

func parse(t *testing.T, text string) *Case {
	t.Helper()
	c, err := Parse("x.case", []byte(text), nil)
	require.NoError(t, err)
	return c
}

func TestCase_PrintsWhatItRead(t *testing.T) {
	t.Parallel()
	for _, text := range []string{full, least} {
		out, err := parse(t, text).Text()
		require.NoError(t, err)
		require.Equal(t, text, string(out))
	}
	require.Equal(t, &Case{
		Signature: model.Signature{Invariant: "stdout-complete", Action: "exec", State: "running", Detail: "truncated"},
		Promise:   "everything a command writes arrives before its exit code", Found: "2026-03-02, seed 7718281",
		Build: "embedded 3f2c1ab", Bugs: []string{"code-mismatch", "stdout-race"}, Reference: "#563",
		Certificate: shrink.NewCertificate(41, 60, true), Shrunk: "34 steps to 3 in 118 runs",
		Extra:   []Header{{"owner", "runner"}, {"note", "two  spaces: kept"}},
		Excerpt: []string{"+12.1ms a exec e1 → 201", "", "  +15.3ms b stop b1 → 200"},
		Plan:    mustPlan("a: b1 = create\ntogether\n  a: e1 = exec b1 stdout=200\n  b: stop b1 gap=3ms\n"),
	}, parse(t, full))
}

func mustPlan(text string) model.Plan {
	p, err := plantext.Parse(text, nil)
	if err != nil {
		panic(err)
	}
	return p
}

func TestCase_EditedTextIsTidied(t *testing.T) {
	t.Parallel()
	edited := strings.NewReplacer(
		"# found: 2026", "# found:    2026", "code-mismatch, stdout-race", "stdout-race,,code-mismatch ,stdout-race",
		"\na: b1", "\n\n\na: b1", "gap=3ms\n", "gap=3ms  \n", "\n", "\r\n").Replace(full)
	out, err := parse(t, edited).Text()
	require.NoError(t, err)
	require.Equal(t, full, string(out))
}

func TestParse_SaysWhereAndHowToMend(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"empty":                 {"", `x.case:1:1: not a case: the first line must be "# chaos case 1"`},
		"newer form":            {"# chaos case 2\n", `x.case:1:14: this is form "2" of a case`},
		"no plan":               {"# chaos case 1\n# signature: a · b · c · d", "x.case:2:1: the plan is missing"},
		"no steps":              {"# chaos case 1\n# signature: a · b · c · d\n\n", "the plan has no steps"},
		"no signature":          {"# chaos case 1\n# found: today\n\na: list\n", "x.case:2:1: the header has no signature"},
		"bad signature":         {"# chaos case 1\n# signature: stop\n\na: list\n", "x.case:2:14: signature \"stop\" has 1 parts"},
		"given twice":           {strings.Replace(full, "# build", "# found: x\n# build", 1), "x.case:5:1: found is given twice"},
		"no empty line":         {"# chaos case 1\n# signature: a · b · c · d\na: list\n", "x.case:3:1: an empty line must stand between"},
		"header without a key":  {"# chaos case 1\n# hello\n\na: list\n", "x.case:2:1: want a header line like"},
		"excerpt in the header": {"# chaos case 1\n# | x\n\na: list\n", "x.case:2:1: want a header line like"},
		"comment in the plan":   {strings.Replace(full, "together", "# why\ntogether", 1), "x.case:14:1: comments between steps are not kept"},
		"steps after excerpt":   {full + "a: list\n", "x.case:21:1: steps must stand above"},
		"wrong interval":        {strings.Replace(full, "55–80", "5–8", 1), "x.case:8:16: the counts and the interval do not belong together; write \"fails 41 of 60 fresh runs (95 %: 55–80 %)\""},
		"impossible counts":     {strings.Replace(full, "41 of 60", "61 of 60", 1), "61 failures in 60 runs is not possible"},
		"no certificate":        {strings.Replace(full, "fails 41 of", "often", 1), "want a certificate like"},
		"error in a step":       {strings.Replace(full, "gap=3ms", "gap=soon", 1), "x.case:16:14: gap=soon is not a positive duration"},
		"plan is not legal":     {strings.Replace(full, "  b: stop", "  a: stop", 1), "x.case:16:1: client a has two steps in one together block"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := Parse("x.case", []byte(tc.text), nil)
			require.Nil(t, c)
			var at *Error
			require.ErrorAs(t, err, &at)
			require.Contains(t, err.Error(), tc.want)
		})
	}
}

type oneAction struct{}

func (oneAction) Lookup(name string) (*model.Spec, bool) {
	return &model.Spec{Name: "stop", On: 'b'}, name == "stop"
}
func (oneAction) Names() []string { return []string{"stop"} }

func TestParse_ChecksAgainstTheVocabulary(t *testing.T) {
	t.Parallel()
	_, err := Parse("x.case", []byte(least), oneAction{})
	require.NoError(t, err)
	_, err = Parse("x.case", []byte(full), oneAction{})
	require.ErrorContains(t, err, `x.case:13:9: no action is called "create"; known actions: stop`)
}

func TestCase_TextRefusesWhatCannotBeReadBack(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Case){
		"no steps":                          func(c *Case) { c.Plan = model.Plan{} },
		"step 1: client":                    func(c *Case) { c.Plan.Steps[0].Client = "boss" },
		"the plan does not read back":       func(c *Case) { c.Plan.Steps[0].Args = c.Plan.Steps[0].Args.With("image", "a b") },
		"does not read back to itself":      func(c *Case) { c.Plan.Steps[0].Args = model.Args{{Key: "b", Value: "1"}, {Key: "a", Value: "1"}} },
		"signature":                         func(c *Case) { c.Signature.Invariant = "" },
		"does not read back":                func(c *Case) { c.Signature.Detail = "a · b" },
		`header "signature" is not free`:    func(c *Case) { c.Extra = []Header{{"signature", "x"}} },
		`header "Two Words" is not free`:    func(c *Case) { c.Extra = []Header{{"Two Words", "x"}} },
		"the plan does not read back: line": func(c *Case) { c.Plan.Steps[0].Action = "a=b" },
	} {
		c := parse(t, full)
		change(c)
		_, err := c.Text()
		require.ErrorContains(t, err, want)
	}
}

// Whatever is put into the free fields of a case, it reads back as the same case.
func TestCase_RoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c, err := Parse("x.case", []byte(full), nil)
		require.NoError(t, err)
		str := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ \t\r\n#|:,\x00é]*`))
		c.Promise, c.Found, c.Build = str.Draw(t, "promise"), str.Draw(t, "found"), str.Draw(t, "build")
		c.Reference, c.Shrunk = str.Draw(t, "reference"), str.Draw(t, "shrunk")
		c.Excerpt = rapid.SliceOf(str).Draw(t, "excerpt")
		c.Extra = []Header{{"owner", str.Draw(t, "owner")}}
		c.Bugs = rapid.SliceOf(rapid.StringMatching(`[ a-z-]*`)).Draw(t, "bugs")
		n := rapid.IntRange(0, 80).Draw(t, "runs")
		c.Certificate = shrink.Certificate{Failures: rapid.IntRange(0, n).Draw(t, "failures"), Runs: n, Fresh: n > 0 && rapid.Bool().Draw(t, "fresh")}
		out, err := c.Text()
		require.NoError(t, err)
		back, err := Parse("x.case", out, nil)
		require.NoError(t, err, string(out))
		require.Equal(t, c.tidy(), back)
		again, err := back.Text()
		require.NoError(t, err)
		require.Equal(t, string(out), string(again))
	})
}

// Parse must neither panic nor accept what it cannot write back, and Text is a fixed point.
func FuzzParse(f *testing.F) {
	for _, s := range []string{full, least, "", firstLine, strings.ReplaceAll(full, "\n", "\r\n"), full + "# | more\n\n\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("x.case", data, nil)
		if err != nil {
			var at *Error
			if !errors.As(err, &at) || at.Line < 1 || at.Col < 1 {
				t.Fatalf("error without a place: %v", err)
			}
			return
		}
		out, err := c.Text()
		if err != nil {
			t.Fatalf("was read but cannot be written: %v", err)
		}
		back, err := Parse("x.case", out, nil)
		if err != nil {
			t.Fatalf("was written but cannot be read: %v\n%s", err, out)
		}
		again, err := back.Text()
		require.NoError(t, err)
		require.Equal(t, string(out), string(again))
		require.Equal(t, c, back)
	})
}
