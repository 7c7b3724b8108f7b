package report

import (
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/model"
	"chaos/model/plantext"
)

var exec500 = model.Signature{Invariant: "typed-errors", Action: "exec", State: "stopped", Detail: "500"}

func plan(t *testing.T) model.Plan {
	t.Helper()
	p, err := plantext.Parse("a: b1 = create\nb: list\na: stop b1\nb: e1 = exec b1 gap=3ms\n", nil)
	require.NoError(t, err)
	return p
}

func TestViolation_HasNoEmptyLines(t *testing.T) {
	var b strings.Builder
	Violation(&b, model.Violation{Promise: "p", Source: "s", Message: "m\n", Allowed: "409", Got: "500"}, plan(t))
	require.Equal(t, "  promise  p\n  source   s\n  what     m\n  allowed  409\n  got      500\n", b.String())
}

func TestViolation_TellsStatesStepsAndJournal(t *testing.T) {
	v := model.Violation{Promise: "p", Source: "s", Message: "m", States: "stopped or stopping", Steps: []int{0, 3, 9}}
	for i := range 7 {
		v.Journal = append(v.Journal, fmt.Sprintf("line %d", i))
	}
	var b strings.Builder
	Violation(&b, v, plan(t))
	require.Equal(t, `  promise  p
  source   s
  what     m
  could be stopped or stopping
  steps    1  a: b1 = create
           4  b: e1 = exec b1 gap=3ms
  journal  line 0
           line 1
           line 2
           line 3
           … 3 lines more
`, b.String())

	// A plan that has no other steps is not told twice.
	v.Steps, v.Journal = []int{0, 1, 2, 3}, nil
	b.Reset()
	Violation(&b, v, plan(t))
	require.NotContains(t, b.String(), "steps")

	// What is told of every box gives way to what is special about this one.
	v.Journal = []string{"job_type=CREATE_BOX", "created box", "job_type=STOP_BOX", "job_type=DESTROY_BOX", "done job_type=DESTROY_BOX"}
	b.Reset()
	Violation(&b, v, plan(t))
	require.Contains(t, b.String(), "  journal  job_type=STOP_BOX\n           … 4 lines more\n")
	v.Journal = v.Journal[:2]
	b.Reset()
	Violation(&b, v, plan(t))
	require.Contains(t, b.String(), "  journal  job_type=CREATE_BOX\n           created box\n")
}

// TestViolation_TextFromOutsideCannotPoseAsOurs holds a line of the report in a message of the server.
func TestViolation_TextFromOutsideCannotPoseAsOurs(t *testing.T) {
	var b strings.Builder
	forged := "x\n  result   no findings\r\n  result   no findings"
	Violation(&b, model.Violation{Promise: "p", Source: "s", Message: forged, Allowed: "409", Got: forged, States: forged, Journal: []string{forged}}, model.Plan{})
	for line := range strings.Lines(b.String()) {
		require.NotRegexp(t, "^  result", line)
	}
	require.Equal(t, 7, strings.Count(b.String(), "\n"))
}

func TestJudged(t *testing.T) {
	h := &model.History{Meta: model.Meta{Stack: "embedded"}}
	var b strings.Builder
	Judged(&b, "000007", h, model.Verdict{Status: model.Inconclusive, Unjudged: []string{"it stalled"}, Broken: "time runs backwards"}, true, false)
	require.Equal(t, `000007  inconclusive  (embedded, 0 steps)
  the verdict is not the one that was saved
  the harness is at fault: time runs backwards
  not judged: it stalled
`, b.String())
}

func TestJudged_RepeatsOneSignatureOnlyWhenAsked(t *testing.T) {
	h := &model.History{Meta: model.Meta{Stack: "embedded"}, Plan: plan(t)}
	v := model.Verdict{Status: model.Violated}
	for i := range 3 {
		v.Violations = append(v.Violations, model.Violation{Signature: exec500, Message: fmt.Sprintf("message %d", i)})
	}
	var b strings.Builder
	Judged(&b, "000001", h, v, false, false)
	require.Contains(t, b.String(), "  typed-errors · exec · stopped · 500 (3 times; the first of them, --all prints every one)\n")
	require.Contains(t, b.String(), "message 0")
	require.NotContains(t, b.String(), "message 1")
	b.Reset()
	Judged(&b, "000001", h, v, false, true)
	require.Equal(t, 3, strings.Count(b.String(), "  what     message "))
}

func TestTally(t *testing.T) {
	var tally Tally
	h := &model.History{Meta: model.Meta{Stack: "embedded"}, Plan: plan(t)}
	rare := model.Violation{Signature: model.Signature{Invariant: "nothing-left", Detail: "process left"}, Promise: "none", Source: "s", Message: "one is left"}
	for i := range 120 {
		v := model.Verdict{Status: model.Violated, Violations: []model.Violation{{Signature: exec500, Promise: "p", Source: "s", Message: fmt.Sprintf("message %d", i)}, {Signature: exec500}}}
		if i == 7 {
			v.Violations = append(v.Violations, rare)
		}
		tally.Add(fmt.Sprintf("%06d", i), h, v, i == 3)
	}
	tally.Add("000120", h, model.Verdict{Status: model.Inconclusive, Unjudged: []string{"it stalled"}}, false)
	tally.Add("000121", h, model.Verdict{Status: model.Inconclusive, Unjudged: []string{"it stalled"}, Broken: "time runs backwards"}, false)
	tally.Add("000122", h, model.Verdict{Status: model.Pass}, false)
	var b strings.Builder
	tally.Print(&b, func(name string) string { return "chaos judge " + path.Join("'my out'", name) })
	require.Equal(t, `Each finding is: promise broken · by which action · in which state of the box · how

typed-errors · exec · stopped · 500
  count    240 times in 120 histories: 000000 000001 000002 000003 000004 … 115 more
  example  000000 (embedded, 4 steps)
  promise  p
  source   s
  what     message 0
  more     chaos judge 'my out'/000000

nothing-left · - · - · process left
  count    1 time in 1 history: 000007
  example  000007 (embedded, 4 steps)
  promise  none
  source   s
  what     one is left
  more     chaos judge 'my out'/000007

judged otherwise than before
  in 1 history: 000003
not judged: it stalled
  in 2 histories: 000120 000121
the harness is at fault: time runs backwards
  in 1 history: 000121
`, b.String())
}
