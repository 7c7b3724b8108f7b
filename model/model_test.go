package model_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/model"
)

func TestPlan_CheckNamesTheStep(t *testing.T) {
	step := func(client, bind, action, on string, group int) model.Step {
		return model.Step{Client: client, Bind: model.Ref(bind), Action: action, On: model.Ref(on), Group: group}
	}
	for what, tc := range map[string]struct {
		steps []model.Step
		at    int
	}{
		"bound twice":                   {[]model.Step{step("a", "b1", "create", "", 0), step("a", "b1", "create", "", 0)}, 1},
		"used before it is bound":       {[]model.Step{step("a", "", "get", "b1", 0), step("a", "b1", "create", "", 0)}, 0},
		"one client twice in a block":   {[]model.Step{step("a", "", "get", "b1", 1), step("a", "", "get", "b1", 1)}, 1},
		"waits for its own block":       {[]model.Step{step("a", "b1", "create", "", 1), step("b", "", "get", "b1", 1)}, 1},
		"a block in two pieces":         {[]model.Step{step("a", "", "get", "b1", 1), step("b", "", "get", "b1", 0), step("c", "", "get", "b1", 1)}, 2},
		"a client that is not a letter": {[]model.Step{step("ab", "", "get", "b1", 0)}, 0},
		"a client that has no name":     {[]model.Step{step("", "", "list", "", 0)}, 0},
	} {
		pr := model.Plan{Steps: tc.steps}.Check()
		require.NotNil(t, pr, what)
		require.Equal(t, tc.at, pr.Step, what)
	}
	require.Nil(t, model.Plan{Steps: []model.Step{step("a", "", "get", "b9", 0)}}.Check(), "a ref that nobody binds is legal")
}

func TestPlan_NormalizeDissolvesSingles(t *testing.T) {
	p := model.Plan{Steps: []model.Step{{Client: "a", Group: 7}, {Client: "a"}, {Client: "a", Group: 3}, {Client: "b", Group: 3}}}.Normalize()
	require.Equal(t, []int{0, 0, 1, 1}, []int{p.Steps[0].Group, p.Steps[1].Group, p.Steps[2].Group, p.Steps[3].Group})
}

func TestArgs_WithDoesNotChangeTheOriginal(t *testing.T) {
	a := model.Args{}.With("b", "1").With("a", "2")
	b := a.With("b", "").With("c", "3")
	require.Equal(t, model.Args{{Key: "a", Value: "2"}, {Key: "b", Value: "1"}}, a)
	require.Equal(t, model.Args{{Key: "a", Value: "2"}, {Key: "c", Value: "3"}}, b)
	require.Equal(t, 2, a.Int("a"))
	require.Equal(t, 5*time.Millisecond, model.Args{{Key: "d", Value: "5ms"}}.Duration("d"))
}

func TestParseError_EveryKnownShape(t *testing.T) {
	for body, want := range map[string]model.ErrorBody{
		`{"error":{"message":"m","type":"T","code":"not_found"}}`:                                             {Shape: model.ShapeEnvelope, Message: "m", Type: "T", Code: "not_found"},
		`{"path":"/x","timestamp":"t","statusCode":404,"error":"Not Found","message":"m","code":"not_found"}`: {Shape: model.ShapeFlat, Message: "m", Code: "not_found", Status: 404},
		`{"error":"stopped: no"}`:                             {Shape: model.ShapeString, Message: "stopped: no"},
		`{"statusCode":404,"message":"m","code":"NOT_FOUND"}`: {Shape: model.ShapeStatus, Message: "m", Code: "NOT_FOUND", Status: 404},
		`{"detail":"m"}`:                                      {Shape: model.ShapeDetail, Message: "m"},
		`404 page not found`:                                  {Shape: model.ShapeText, Message: "404 page not found"},
		`[]`:                                                  {Shape: model.ShapeText, Message: "[]"},
		` `:                                                   {Shape: model.ShapeEmpty},
	} {
		require.Equal(t, want, model.ParseError(body), body)
	}
}

func TestTypedLeak(t *testing.T) {
	require.True(t, model.TypedLeak(500, `{"error":"exec failed: boxlite: stopped: handle (code=11)"}`))
	require.True(t, model.TypedLeak(500, `{"error":"no (code=10)"}`))
	require.False(t, model.TypedLeak(409, `{"error":"stopped: no"}`))
	require.False(t, model.TypedLeak(500, `{"error":"disk full"}`))
}

func TestSight_ReadsTheRunnersLines(t *testing.T) {
	for line, want := range map[string]model.Sighting{
		`created box id=core1 name=BOX image=alpine:latest`:                                              {BoxID: "BOX", What: model.SawCreate},
		`Executing job job_id=1 job_type=STOP_BOX resource_type=box resource_id=BOX`:                     {BoxID: "BOX", What: model.SawJob},
		`Job completed successfully job_id=1 job_type=DESTROY_BOX resource_type=box resource_id=BOX`:     {BoxID: "BOX", What: model.SawDone},
		`Job failed job_id=1 job_type=CREATE_BOX resource_type=box resource_id=BOX error="no space = x"`: {BoxID: "BOX", What: model.SawFailed},
		`exec started box_id=BOX execution_id=E command="sh -c \"a=b\""`:                                 {BoxID: "BOX", ExecID: "E", What: model.SawExec},
		`exec finished box_id=BOX execution_id=E exit_code=0`:                                            {BoxID: "BOX", ExecID: "E", What: model.SawExecEnd, Exit: new(int)},
	} {
		got, _, ok := model.Sight(line)
		require.True(t, ok, line)
		require.Equal(t, want, got, line)
	}
	for _, line := range []string{"", "box BOX is fine", "created box id=x", "State mismatch for box boxId=x localState=a"} {
		_, _, ok := model.Sight(line)
		require.False(t, ok, line)
	}
}

func TestSignature_PrintsAndParsesBack(t *testing.T) {
	for _, s := range []model.Signature{{"i", "a", "running", "d, e"}, {"i", "", "", "x"}} {
		got, err := model.ParseSignature(s.String())
		require.NoError(t, err)
		require.Equal(t, s, got)
	}
	_, err := model.ParseSignature("only one part")
	require.Error(t, err)
}

func TestHistory_LinesRoundTrip(t *testing.T) {
	zero := 0
	h := &model.History{Meta: model.Meta{Profile: "cloud", Token: "t", Limits: model.Limits{Call: time.Second}},
		Calls: []model.Call{{ID: 1, Op: model.OpAttach, Outcome: model.OK, Payload: &model.Payload{Token: "t.e1", Stdout: 3},
			View: &model.ExecView{Status: "completed", Exit: &zero}, Attach: &model.Attach{Frames: []model.Frame{{Kind: model.FrameOut, Data: []byte{0, 255, 10}}}}}},
		Journal: model.Journal{Kind: "file", Entries: []model.JournalEntry{{At: 5, Message: "x"}}}, Residue: []model.Residue{{BoxID: "b", What: "process 1: x"}}}
	lines, err := h.MarshalLines()
	require.NoError(t, err)
	got, err := model.ParseHistory(lines)
	require.NoError(t, err)
	require.Equal(t, h, got)
	_, err = model.ParseHistory([]byte(`{"call":{}}`))
	require.ErrorContains(t, err, "meta")
	_, err = model.ParseHistory(lines[:len(lines)/2])
	require.Error(t, err)
}
