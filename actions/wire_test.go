package actions_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"chaos/actions"
	"chaos/model"
	"chaos/model/plantext"
	"chaos/stack"
)

// token begins the names and payloads of the runs of this test.
const token = "t-1"

// echo is a server that notes every request and answers each with success, as if all was well. The
// first box is BOX1, the first exec EXEC1, and so on.
type echo struct {
	*httptest.Server
	mu           sync.Mutex
	lines        []string
	boxes, execs int
	first        answer
}

// answer comes before everything else and reports whether it answered.
type answer func(w http.ResponseWriter, q *http.Request) bool

func startEcho(t *testing.T) *echo {
	e := &echo{}
	e.Server = httptest.NewServer(http.HandlerFunc(e.serve))
	t.Cleanup(e.Close)
	return e
}

func (e *echo) serve(w http.ResponseWriter, q *http.Request) {
	body, _ := io.ReadAll(q.Body)
	line := q.Method + " " + q.URL.RequestURI()
	if len(body) > 0 {
		line += " " + canonical(body)
	}
	if q.Header.Get("Authorization") != "Bearer good" {
		line += " auth=" + q.Header.Get("Authorization")
	}
	e.mu.Lock()
	e.lines = append(e.lines, line)
	first := e.first
	e.mu.Unlock()
	if first != nil && first(w, q) {
		return
	}
	reply := func(status int, format string, args ...any) {
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, format, args...)
	}
	switch last := q.URL.Path[strings.LastIndexByte(q.URL.Path, '/')+1:]; {
	case last == "boxes" && q.Method == "POST":
		reply(201, `{"box_id":"BOX%d","name":"n","status":"running"}`, e.count(&e.boxes))
	case last == "boxes":
		reply(200, `{"boxes":[{"box_id":"BOX1","name":"t-1-b1","status":"running"},{"box_id":"X","name":"t-11-b1","status":"running"}]}`)
	case last == "exec":
		reply(201, `{"execution_id":"EXEC%d"}`, e.count(&e.execs))
	case last == "attach":
		e.attach(w, q)
	case last == "start" || last == "stop":
		reply(201, `{"box_id":"BOX1","status":"running"}`)
	case strings.Contains(q.URL.Path, "/executions/") && q.Method == "GET":
		reply(200, `{"status":"completed","exit_code":0}`)
	case q.Method == "GET":
		reply(200, `{"box_id":"BOX1","status":"stopped"}`)
	default:
		reply(204, "")
	}
}

// attach sends two frames and an exit.
func (e *echo) attach(w http.ResponseWriter, q *http.Request) {
	c, err := websocket.Accept(w, q, nil)
	if err != nil {
		return
	}
	ctx := context.Background()
	_ = c.Write(ctx, websocket.MessageBinary, []byte("\x01x"))
	_ = c.Write(ctx, websocket.MessageBinary, []byte("\x01y"))
	_ = c.Write(ctx, websocket.MessageText, []byte(`{"type":"exit","exit_code":0}`))
	_ = c.Close(websocket.StatusNormalClosure, "")
}

func (e *echo) answerFirst(a answer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.first = a
}

func (e *echo) count(n *int) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	*n++
	return *n
}

func (e *echo) requests() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.lines...)
}

// canonical is JSON with sorted keys and nothing escaped that need not be.
func canonical(data []byte) string {
	var v any
	if json.Unmarshal(data, &v) != nil {
		return string(data)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
	return strings.TrimSpace(b.String())
}

// accounts hears of creates.
type accounts struct {
	mu   sync.Mutex
	open int
	ids  []string
	lost int
}

func (a *accounts) Begin() func(id string, answered bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open++
	return func(id string, answered bool) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.open--
		a.ids = append(a.ids, id)
		if !answered {
			a.lost++
		}
	}
}

// rig performs plans step by step against one server.
type rig struct {
	client *stack.Client
	rec    *actions.Recorder
	owned  *accounts
	refs   *actions.Refs
	plan   model.Plan
	limits model.Limits
}

func newRig(t *testing.T, url, text string) *rig {
	p, err := plantext.Parse(text, actions.Vocabulary{})
	require.NoError(t, err, text)
	c := stack.New(stack.Endpoint{URL: url, Key: "good"})
	t.Cleanup(c.Close)
	return &rig{client: c, rec: actions.NewRecorder(), owned: &accounts{}, refs: actions.NewRefs(p, token), plan: p,
		limits: model.Limits{Call: time.Minute, Resolve: time.Minute, Converge: time.Minute, Slot: time.Minute, Stall: time.Second}}
}

func (r *rig) env(i int) *actions.Env {
	return &actions.Env{Client: r.client, Other: r.client.As("other", "theirs"), Stranger: r.client.As("other", "ours"), Rec: r.rec, Refs: r.refs, Limits: r.limits, Index: i, Who: "a", Owned: r.owned}
}

func (r *rig) perform(ctx context.Context, i int) {
	a, _ := actions.Get(r.plan.Steps[i].Action)
	a.Perform(ctx, r.env(i), r.plan.Steps[i])
}

// execBody is the request of an exec that runs p; extra is what stands besides.
func execBody(p model.Payload, extra string) string {
	argv, _ := json.Marshal(p.Argv()[1:])
	return canonical([]byte(fmt.Sprintf(`{"command":%q,"args":%s,"tty":%t%s}`, p.Argv()[0], argv, p.TTY, extra)))
}

// nobodysBox and nobodysExec are the ids that stand in for BOX1, and for EXEC1's box.
const nobodysBox, nobodysExec = "689a46f44675", "9ec37f514705"

const fakeExec = "00000000-0000-4000-8000-"

// golden holds what the last step of each plan must send, and as what it must be recorded.
var golden = []struct {
	plan string
	want []string // requests
	ops  []string // op and variant of each recorded call
}{
	{"a: b1 = create", []string{`POST /v1/boxes {"image":"alpine:latest","name":"t-1-b1"}`}, []string{"create"}},
	{"a: b1 = create giveup=900ms", []string{`POST /v1/boxes {"image":"alpine:latest","name":"t-1-b1"}`}, []string{"create"}},
	{"a: b1 = create\na: start b1 giveup=900ms", []string{"POST /v1/boxes/BOX1/start"}, []string{"start"}},
	{"a: b1 = create\na: stop b1 giveup=900ms", []string{"POST /v1/boxes/BOX1/stop", "GET /v1/boxes/BOX1"}, []string{"stop", "get"}},
	{"a: b1 = create\na: remove b1 giveup=900ms", []string{"DELETE /v1/boxes/BOX1?force=true"}, []string{"remove"}},
	{"a: b1 = create name=n1", []string{`POST /v1/boxes {"image":"alpine:latest","name":"t-1-n1"}`}, []string{"create shared-name"}},
	{"a: b1 = create bad=cpus-zero", []string{`POST /v1/boxes {"cpus":0,"image":"alpine:latest","name":"t-1-b1"}`}, []string{"create cpus-zero"}},
	{"a: b1 = create bad=cpus-huge", []string{`POST /v1/boxes {"cpus":999,"image":"alpine:latest","name":"t-1-b1"}`}, []string{"create cpus-huge"}},
	{"a: b1 = create bad=memory-negative", []string{`POST /v1/boxes {"image":"alpine:latest","memory_mib":-1,"name":"t-1-b1"}`}, []string{"create memory-negative"}},
	{"a: b1 = create bad=name-blank", []string{`POST /v1/boxes {"image":"alpine:latest","name":""}`}, []string{"create name-blank"}},
	{"a: b1 = create bad=unknown-image", []string{`POST /v1/boxes {"image":"chaos-no-such-image:latest","name":"t-1-b1"}`}, []string{"create unknown-image"}},
	{"a: b1 = create\na: get b1", []string{"GET /v1/boxes/BOX1"}, []string{"get"}},
	{"a: list", []string{"GET /v1/boxes"}, []string{"list"}},
	{"a: b1 = create cpus=2 memory=1536 name=n2", []string{`POST /v1/boxes {"cpus":2,"image":"alpine:latest","memory_mib":1536,"name":"t-1-n2"}`}, []string{"create shared-name"}},
	{"a: b1 = create\na: metrics b1 of=org", []string{"GET /v1/metrics"}, []string{"metrics org"}},
	{"a: b1 = create\na: metrics b1", []string{"GET /v1/boxes/BOX1/metrics"}, []string{"metrics"}},
	{"a: b1 = create\na: start b1", []string{"POST /v1/boxes/BOX1/start"}, []string{"start"}},
	{"a: b1 = create\na: stop b1", []string{"POST /v1/boxes/BOX1/stop", "GET /v1/boxes/BOX1"}, []string{"stop", "get"}},
	{"a: b1 = create\na: stop b1 wait=no", []string{"POST /v1/boxes/BOX1/stop"}, []string{"stop"}},
	{"a: b1 = create\na: remove b1", []string{"DELETE /v1/boxes/BOX1?force=true"}, []string{"remove"}},
	{"a: b1 = create\na: probe b1", []string{"GET /v1/boxes/BOX1 auth=Bearer chaos-not-a-key"}, []string{"probe"}},
	{"a: b1 = create\na: probe b1 route=get", []string{"GET /v1/boxes/BOX1 auth=Bearer chaos-not-a-key"}, []string{"probe"}},
	{"a: b1 = create\na: probe b1 route=list token=missing", []string{"GET /v1/boxes auth="}, []string{"probe missing"}},
	{"a: b1 = create\na: probe b1 route=stop", []string{"POST /v1/boxes/BOX1/stop auth=Bearer chaos-not-a-key"}, []string{"probe"}},
	{"a: b1 = create\na: probe b1 route=exec", []string{`POST /v1/boxes/BOX1/exec {"command":"true"} auth=Bearer chaos-not-a-key`}, []string{"probe"}},
	{"a: b1 = create\na: probe b1 route=remove", []string{"DELETE /v1/boxes/BOX1 auth=Bearer chaos-not-a-key"}, []string{"probe"}},

	{"a: b1 = create\na: probe b1 route=head token=malformed", []string{"HEAD /v1/boxes/BOX1 auth=chaos-not-a-key"}, []string{"probe malformed"}},
	{"a: b1 = create\na: probe b1 route=create token=missing", []string{`POST /v1/boxes {"image":"alpine:latest","name":"t-1-probe"} auth=`}, []string{"probe missing"}},
	{"a: b1 = create\na: probe b1 route=me", []string{"GET /v1/me auth=Bearer chaos-not-a-key"}, []string{"probe"}},
	{"a: b1 = create\na: probe b1 route=org-metrics", []string{"GET /v1/metrics auth=Bearer chaos-not-a-key"}, []string{"probe"}},
	{"a: b1 = create\na: probe b1 route=list token=other", []string{"GET /v1/theirs/boxes auth=Bearer other"}, []string{"probe other-own"}},
	{"a: b1 = create\na: probe b1 route=start token=other", []string{"POST /v1/theirs/boxes/BOX1/start auth=Bearer other", "POST /v1/theirs/boxes/" + nobodysBox + "/start auth=Bearer other"}, []string{"probe other", "probe other-missing"}},
	{"a: b1 = create\na: probe b1 route=metrics token=stranger", []string{"GET /v1/ours/boxes/BOX1/metrics auth=Bearer other"}, []string{"probe stranger"}},
	{detached + "a: probe-exec e1", []string{"GET /v1/boxes/BOX1/executions/EXEC1 auth=Bearer chaos-not-a-key"}, []string{"probe"}},
	{detached + "a: probe-exec e1 route=kill token=missing", []string{"DELETE /v1/boxes/BOX1/executions/EXEC1 auth="}, []string{"probe missing"}},
	{detached + "a: probe-exec e1 route=resize token=malformed", []string{`POST /v1/boxes/BOX1/executions/EXEC1/resize {"cols":120,"rows":40} auth=chaos-not-a-key`}, []string{"probe malformed"}},
	{detached + "a: probe-exec e1 route=signal token=stranger", []string{`POST /v1/ours/boxes/BOX1/executions/EXEC1/signal {"signal":15} auth=Bearer other`}, []string{"probe stranger"}},
	{detached + "a: probe-exec e1 route=attach", []string{"GET /v1/boxes/BOX1/executions/EXEC1/attach auth=Bearer chaos-not-a-key"}, []string{"probe"}},
	{detached + "a: probe-exec e1 route=attach token=other",
		[]string{"GET /v1/theirs/boxes/BOX1/executions/EXEC1/attach auth=Bearer other", "GET /v1/theirs/boxes/" + nobodysExec + "/executions/EXEC1/attach auth=Bearer other"}, []string{"probe other", "probe other-missing"}},

	{"a: b1 = create\na: e1 = exec b1", attached(execBody(model.Payload{Token: "t-1.e1"}, "")), []string{"exec", "attach", "info"}},
	{"a: b1 = create\na: e1 = exec b1 exit=7 sleep=20ms stderr=2 stdout=30",
		attached(execBody(model.Payload{Token: "t-1.e1", Stdout: 30, Stderr: 2, Exit: 7, Sleep: 20 * time.Millisecond}, "")), []string{"exec", "attach", "info"}},
	{"a: b1 = create\na: e1 = exec b1 attach=no giveup=900ms", attached(execBody(model.Payload{Token: "t-1.e1"}, ""))[:1], []string{"exec"}},
	{"a: b1 = create\na: e1 = exec b1 attach=no child=yes stdout=1", attached(execBody(model.Payload{Token: "t-1.e1", Stdout: 1, Child: true}, ""))[:1], []string{"exec"}},
	{"a: b1 = create\na: e1 = exec b1 cut=1 stdout=1", attached(execBody(model.Payload{Token: "t-1.e1", Stdout: 1}, ""))[:2], []string{"exec", "attach"}},
	{"a: b1 = create\na: e1 = exec b1 stderr=4 stdout=4 tty=yes watch=100ms",
		attached(execBody(model.Payload{Token: "t-1.e1", Stdout: 4, TTY: true, Watch: 100 * time.Millisecond}, "")), []string{"exec", "attach", "info"}},
	{"a: b1 = create\na: e1 = exec b1 watch=100ms", attached(execBody(model.Payload{Token: "t-1.e1"}, "")), []string{"exec", "attach", "info"}},
	{"a: b1 = create\na: e1 = exec b1 cwd=usr env=yes",
		attached(execBody(model.Payload{Token: "t-1.e1", Dir: "/usr", Env: true}, `,"working_dir":"/usr","env":{"CHAOS_ENV_t_1_e1":"t-1.e1","CHAOS_TOKEN":"t-1.e1"}`)), []string{"exec", "attach", "info"}},
	{"a: b1 = create\na: e1 = exec b1 attach=no cwd=bad",
		[]string{"POST /v1/boxes/BOX1/exec " + execBody(model.Payload{Token: "t-1.e1", Dir: "/chaos/no/such/directory"}, `,"working_dir":"/chaos/no/such/directory"`)}, []string{"exec bad-dir"}},
	{"a: b1 = create\na: e1 = exec b1 attach=no bin=missing", []string{`POST /v1/boxes/BOX1/exec {"args":[],"command":"chaos-no-such-program","tty":false}`}, []string{"exec missing-binary"}},
	{"a: b1 = create\na: e1 = exec b1 deaf=yes hang=yes timeout=250ms",
		attached(execBody(model.Payload{Token: "t-1.e1", Sleep: time.Minute, Timeout: 250 * time.Millisecond, Deaf: true}, `,"timeout_seconds":0.25`)), []string{"exec", "attach", "info"}},
	{"a: b1 = create\na: e1 = exec b1 hang=yes sleep=20ms", attached(execBody(model.Payload{Token: "t-1.e1", Sleep: 20 * time.Millisecond}, "")), []string{"exec", "attach", "info"}},
	{"a: b1 = create\na: e1 = exec b1 stdin=3 stdout=1", attached(execBody(model.Payload{Token: "t-1.e1", Stdout: 1, Stdin: 3}, "")), []string{"exec", "attach", "info"}},
	{"a: b1 = create\na: e1 = exec b1 attach=no stdin=3", attached(execBody(model.Payload{Token: "t-1.e1"}, ""))[:1], []string{"exec"}},
	{"a: b1 = create\na: e1 = exec b1 stdin=3 tty=yes", attached(execBody(model.Payload{Token: "t-1.e1", TTY: true}, "")), []string{"exec", "attach", "info"}},
	{"a: b1 = create\na: e1 = exec b1 slow=1ms stdout=20 utf8=yes", attached(execBody(model.Payload{Token: "t-1.e1", Stdout: 20, UTF8: true}, "")), []string{"exec", "attach", "info"}},

	{detached + "a: attach e1", []string{"GET /v1/boxes/BOX1/executions/EXEC1/attach", "GET /v1/boxes/BOX1/executions/EXEC1"}, []string{"attach", "info"}},
	{detached + "a: attach e1 cut=2", []string{"GET /v1/boxes/BOX1/executions/EXEC1/attach"}, []string{"attach"}},
	{detached + "a: attach e1 again=poll slow=1ms", []string{"GET /v1/boxes/BOX1/executions/EXEC1/attach", "GET /v1/boxes/BOX1/executions/EXEC1"}, []string{"attach", "info"}},
	{detached + "a: attach e1 ro=yes", []string{"GET /v1/boxes/BOX1/executions/EXEC1/attach?stdin=0", "GET /v1/boxes/BOX1/executions/EXEC1"}, []string{"attach", "info"}},
	{detached + "a: info e1", []string{"GET /v1/boxes/BOX1/executions/EXEC1"}, []string{"info"}},
	{detached + "a: kill e1", []string{"DELETE /v1/boxes/BOX1/executions/EXEC1"}, []string{"kill"}},
	{detached + "a: signal e1", []string{`POST /v1/boxes/BOX1/executions/EXEC1/signal {"signal":15}`}, []string{"signal"}},
	{detached + "a: signal e1 sig=28", []string{`POST /v1/boxes/BOX1/executions/EXEC1/signal {"signal":28}`}, []string{"signal"}},
	{detached + "a: signal e1 sig=9", []string{`POST /v1/boxes/BOX1/executions/EXEC1/signal {"signal":9}`}, []string{"signal not-allowed"}},
	{detached + "a: resize e1", []string{`POST /v1/boxes/BOX1/executions/EXEC1/resize {"cols":120,"rows":40}`}, []string{"resize no-terminal"}},
	{"a: b1 = create\na: e1 = exec b1 attach=no tty=yes\na: resize e1 cols=99 rows=33", []string{`POST /v1/boxes/BOX1/executions/EXEC1/resize {"cols":99,"rows":33}`}, []string{"resize"}},
}

const detached = "a: b1 = create\na: e1 = exec b1 attach=no\n"

func attached(body string) []string {
	return []string{"POST /v1/boxes/BOX1/exec " + body, "GET /v1/boxes/BOX1/executions/EXEC1/attach", "GET /v1/boxes/BOX1/executions/EXEC1"}
}

func TestPerform_SendsExactlyWhatThePlanSays(t *testing.T) {
	for _, tc := range golden {
		s := startEcho(t)
		r := newRig(t, s.URL, tc.plan)
		last := len(r.plan.Steps) - 1
		for i := range last {
			r.perform(t.Context(), i)
		}
		sent, recorded := len(s.requests()), len(r.rec.Calls())
		r.perform(t.Context(), last)
		require.Equal(t, tc.want, s.requests()[sent:], tc.plan)
		var ops []string
		for _, c := range r.rec.Calls()[recorded:] {
			ops = append(ops, strings.TrimSpace(c.Op+" "+c.Variant))
			require.Equal(t, last, c.Step, tc.plan)
		}
		require.Equal(t, tc.ops, ops, tc.plan)
		wellRecorded(t, r, tc.plan)
	}
}

// wellRecorded looks at what every recorded call must be like.
func wellRecorded(t *testing.T, r *rig, plan string) {
	for i, c := range r.rec.Calls() {
		require.Equal(t, i, c.ID, plan)
		require.Contains(t, []model.Outcome{model.OK, model.Rejected, model.Unknown}, c.Outcome, plan)
		require.Equal(t, c.Outcome == model.Unknown, c.Status == 0, plan)
		require.Equal(t, c.Outcome == model.Unknown, c.Error != "", plan)
		require.GreaterOrEqual(t, c.Return, c.Invoke, plan)
		require.Equal(t, "a", c.Client, plan)
		// A create acts on a box that is not there yet, all other operations in any state.
		states := model.AnyState
		if c.Op == model.OpCreate {
			states = model.Absent
		}
		_, _, ok := model.Cloud().Allowed(c.Op, c.Variant, states)
		require.True(t, ok, "the contract has no rule for %s %q in every state", c.Op, c.Variant)
	}
}

// TestGolden_CoversEveryActionAndArgument fails when an action or argument has no line in the table.
func TestGolden_CoversEveryActionAndArgument(t *testing.T) {
	have := map[string]bool{}
	for _, tc := range golden {
		p, err := plantext.Parse(tc.plan, actions.Vocabulary{})
		require.NoError(t, err)
		s := p.Steps[len(p.Steps)-1]
		have[s.Action] = true
		for _, a := range s.Args {
			have[s.Action+" "+a.Key] = true
		}
	}
	for _, a := range actions.All() {
		require.True(t, have[a.Spec().Name], "%s has no line in the golden table", a.Spec().Name)
		for _, arg := range a.Spec().Args {
			require.True(t, have[a.Spec().Name+" "+arg.Name], "%s %s has no line in the golden table", a.Spec().Name, arg.Name)
		}
	}
}
