package model_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/model"
)

// recorded is a history as a run leaves it, and its plan.
func recorded() *model.History {
	plan := model.Plan{Steps: []model.Step{
		{Client: "a", Bind: "b1", Action: "create"},
		{Client: "a", Bind: "e1", Action: "exec", On: "b1", Args: model.Args{{Key: "stdout", Value: "3"}}},
		{Client: "b", Action: "list"},
	}}
	return &model.History{Plan: plan, Meta: model.Meta{Profile: "cloud", Token: "t"}, Calls: []model.Call{
		{ID: 0, Step: 0, Client: "a", Op: model.OpCreate, Box: "b1", Invoke: 10, Return: 20, Outcome: model.OK},
		{ID: 1, Step: 2, Client: "b", Op: model.OpList, Invoke: 10, Return: 40, Outcome: model.Unknown},
		{ID: 2, Step: 1, Client: "a", Op: model.OpExec, Box: "b1", Exec: "e1", Invoke: 30, Return: 30, Outcome: model.OK},
		{ID: 3, Step: 1, Client: "a", Op: model.OpAttach, Box: "b1", Exec: "e1", Invoke: 31, Return: 50, Outcome: model.OK,
			Attach: &model.Attach{Opened: 32, EOF: 33, Frames: []model.Frame{{At: 40, Kind: model.FrameOut, Data: []byte("x")}, {At: 41, Kind: model.FrameExit}}}},
		{ID: 4, Step: model.Harness, Op: model.OpGet, Box: "b1", Invoke: 60, Return: 61, Outcome: model.Rejected},
	}, Journal: model.Journal{Kind: "file"}}
}

func lines(t *testing.T, h *model.History) []string {
	t.Helper()
	text, err := h.MarshalLines()
	require.NoError(t, err)
	return strings.SplitAfter(strings.TrimSuffix(string(text), "\n"), "\n")
}

func read(lines []string, plan model.Plan) (*model.History, error) {
	return model.ReadHistory([]byte(strings.Join(lines, "")), plan)
}

func TestReadHistory_TakesWhatWasRecorded(t *testing.T) {
	h := recorded()
	got, err := read(lines(t, h), h.Plan)
	require.NoError(t, err)
	require.Equal(t, h, got)

	// As programs wrote it that did not count, and as one may write that knows more.
	old := lines(t, h)
	old[0] = `{"meta":{"profile":"cloud","token":"t"}}`
	_, err = read(old, h.Plan)
	require.NoError(t, err)
	old[0] = `{"meta":{"profile":"cloud","token":"t","more":1},"more":2}`
	_, err = read(old, h.Plan)
	require.NoError(t, err)
}

func TestReadHistory_NamesWhatNoRunCanHaveRecorded(t *testing.T) {
	for want, spoil := range map[string]func(h *model.History){
		"record 3: call 1: it was sent before the run began":                    func(h *model.History) { h.Calls[1].Invoke = -5 },
		"record 4: call 2: it was answered before it was sent":                  func(h *model.History) { h.Calls[2].Return = 29 },
		"record 6: call 4: it was sent before call 3":                           func(h *model.History) { h.Calls[4].Invoke = 30 },
		`record 2: call 0: no operation is called "dance"`:                      func(h *model.History) { h.Calls[0].Op = "dance" },
		`record 2: call 0: no outcome is called "fine"`:                         func(h *model.History) { h.Calls[0].Outcome = "fine" },
		"record 4: call 2: the plan has no step 3":                              func(h *model.History) { h.Calls[2].Step = 3 },
		"record 4: call 2: the plan has no step -2":                             func(h *model.History) { h.Calls[2].Step = -2 },
		`record 4: call 2: step 2 of the plan is of client "b", not "a"`:        func(h *model.History) { h.Calls[2].Step = 2 },
		"record 4: call 2: the plan has no step -1":                             func(h *model.History) { h.Calls[2].Step = model.Harness },
		"record 5: call 3: the plan has no e2":                                  func(h *model.History) { h.Calls[3].Exec = "e2" },
		"record 3: call 0: it stands there twice, or in a wrong place":          func(h *model.History) { h.Calls[1] = h.Calls[0] },
		"record 4: call 3: call 2 is missing before it":                         func(h *model.History) { h.Calls = append(h.Calls[:2], h.Calls[3:]...) },
		"record 5: call 3: frame 2 came outside of the call":                    func(h *model.History) { h.Calls[3].Attach.Frames[1].At = 39 },
		"record 5: call 3: its session was opened or ended outside of the call": func(h *model.History) { h.Calls[3].Attach.EOF = -33 },
		"record 1: the plan beside it is not the one that was performed":        func(h *model.History) { h.Plan = model.Plan{Steps: h.Plan.Steps[:2]} },
	} {
		h := recorded()
		plan := h.Plan
		spoil(h)
		_, err := read(lines(t, h), plan)
		require.EqualError(t, err, want)
	}
}

func TestReadHistory_NamesWhatIsNoHistory(t *testing.T) {
	h := recorded()
	for want, spoil := range map[string]func(l []string) []string{
		"record 1: no meta record: this is not a history, or its beginning is missing": func(l []string) []string { return l[1:] },
		"the last record is missing: the file was cut off":                             func(l []string) []string { return l[:len(l)-1] },
		"record 7: it stands in a wrong place":                                         func(l []string) []string { return append(l[:6], l[7]) },
		"record 6: it comes after 4 calls, but 5 were recorded":                        func(l []string) []string { return append(l[:5], l[6:]...) },
		"record 2: it stands in a wrong place":                                         func(l []string) []string { return append(l[:1], l...) },
		"record 9: it stands in a wrong place":                                         func(l []string) []string { return append(l, l[2]) },
		"record 9: invalid character":                                                  func(l []string) []string { return append(l, "]") },
		"record 3: it is not one record of a history: meta, call, journal or residue": func(l []string) []string {
			l[2] = "{}\n"
			return l
		},
	} {
		_, err := read(spoil(lines(t, h)), h.Plan)
		require.ErrorContains(t, err, want)
	}
	_, err := model.ReadHistory(nil, h.Plan)
	require.ErrorContains(t, err, "cut off")
}

func TestPlan_SumTellsPlansApart(t *testing.T) {
	plan := recorded().Plan
	same := plan.Clone()
	same.Steps[2].Group = 7 // a group of one is none
	require.Equal(t, plan.Sum(), same.Sum())
	sums := map[string]bool{plan.Sum(): true}
	for _, change := range []func(s *model.Step){
		func(s *model.Step) { s.Client = "c" }, func(s *model.Step) { s.Bind = "e2" }, func(s *model.Step) { s.Action = "stop" }, func(s *model.Step) { s.On = "b2" },
		func(s *model.Step) { s.Args = s.Args.With("stdout", "4") }, func(s *model.Step) { s.After = "b1" }, func(s *model.Step) { s.Gap = 1 },
	} {
		other := plan.Clone()
		change(&other.Steps[1])
		sums[other.Sum()] = true
	}
	require.Len(t, sums, 8)
}

// FuzzReadHistory looks for bytes that make reading a history panic.
func FuzzReadHistory(f *testing.F) {
	h := recorded()
	text, err := h.MarshalLines()
	require.NoError(f, err)
	f.Add(text)
	f.Add(bytes.ReplaceAll(text, []byte("1"), []byte("-1")))
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _ = model.ReadHistory(data, h.Plan)
	})
}
