package actions_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"chaos/actions"
	"chaos/model"
)

// moods are ways a server can treat every request.
var moods = map[string]struct {
	answer answer        // nil = as if all was well
	want   model.Outcome // of the first call of each step
}{
	"all well": {nil, model.OK},
	"refused":  {reply(404, `{"error":"box not found: x"}`), model.Rejected},
	"conflict": {reply(409, `{"error":"stopped: x"}`), model.Rejected},
	"broken":   {reply(500, `oops`), model.Rejected},
	"moved": {func(w http.ResponseWriter, q *http.Request) bool {
		http.Redirect(w, q, "/v1/x", http.StatusTemporaryRedirect)
		return true
	}, model.Rejected},
	"silent":         {hangUp, model.Unknown},
	"empty success":  {reply(200, ""), model.OK},
	"null":           {reply(200, "null"), model.OK},
	"another shape":  {reply(200, `{"box_id":7,"boxes":{"a":1},"execution_id":[],"status":false,"exit_code":"no"}`), model.OK},
	"not even JSON":  {reply(201, "<html>\xff\xfe"), model.OK},
	"a huge refusal": {reply(400, strings.Repeat("x", 3*model.MaxBody)), model.Rejected},
}

func reply(status int, body string) answer {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
		return true
	}
}

func hangUp(w http.ResponseWriter, _ *http.Request) bool {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.Close()
	}
	return true
}

// lastSteps returns what the golden table performs, each without what comes before it.
func lastSteps() []string {
	var out []string
	for _, tc := range golden {
		lines := strings.Split(tc.plan, "\n")
		out = append(out, lines[len(lines)-1])
	}
	return out
}

// TestPerform_AnyAnswerIsOneOutcomeAndNeverAPanic performs every variant of every action on things
// that are there, that failed to come to be, and that never were, against servers of every mood.
func TestPerform_AnyAnswerIsOneOutcomeAndNeverAPanic(t *testing.T) {
	for mood, m := range moods {
		s := startEcho(t)
		for _, line := range lastSteps() {
			for _, before := range []string{"a: b1 = create\na: e1 = exec b1 attach=no\n", ""} {
				if strings.Contains(line, "b1 =") || before != "" && strings.Contains(line, "e1 =") {
					before = ""
				}
				s.answerFirst(nil)
				r := newRig(t, s.URL, before+line)
				r.limits.Converge, r.limits.Slot = time.Millisecond, time.Millisecond // nothing is watched for long
				last := len(r.plan.Steps) - 1
				for i := range last {
					r.perform(t.Context(), i)
				}
				s.answerFirst(m.answer)
				sent, recorded := len(s.requests()), len(r.rec.Calls())
				r.perform(t.Context(), last)
				calls := r.rec.Calls()[recorded:]
				require.NotEmpty(t, calls, "%s: %s", mood, line)
				conns := 0
				for _, c := range calls {
					conns += c.Conns
				}
				require.Equal(t, len(s.requests())-sent, conns, "%s: %s: every request is in the record", mood, line)
				if calls[0].Op != model.OpAttach || m.want == model.Unknown {
					require.Equal(t, m.want, calls[0].Outcome, "%s: %s", mood, line)
				}
				require.Zero(t, r.owned.open, "%s: %s: every create is accounted for", mood, line)
				for _, c := range calls {
					require.LessOrEqual(t, len(c.Body), 3*model.MaxBody)
					require.True(t, strings.ToValidUTF8(c.Body, "") == c.Body)
				}
				wellRecorded(t, r, mood+": "+line)
			}
		}
	}
}

func TestPerform_ARefusedOrUnansweredCreateBindsAnIdThatNothingHas(t *testing.T) {
	for _, mood := range []string{"refused", "silent", "null"} {
		s := startEcho(t)
		r := newRig(t, s.URL, "a: b1 = create\na: e1 = exec b1 attach=no\na: get b1\na: kill e1\na: get b7\na: kill e7")
		s.answerFirst(moods[mood].answer)
		r.perform(t.Context(), 0)
		s.answerFirst(moods["refused"].answer)
		for i := 1; i < len(r.plan.Steps); i++ {
			r.perform(t.Context(), i)
		}
		calls := r.rec.Calls()
		require.Equal(t, []string{""}, r.owned.ids)
		require.Equal(t, mood == "silent", r.owned.lost == 1, "only a create without an answer may have made a box")
		require.Equal(t, calls[1].BoxID, calls[2].BoxID, "a ref stands for one id")
		require.NotEqual(t, calls[2].BoxID, calls[4].BoxID)
		require.NotEqual(t, calls[3].ExecID, calls[5].ExecID)
		for i, c := range calls[1:] {
			if mood == "silent" && i < 2 {
				require.Equal(t, "t-1-b1", c.BoxID, "it may be there, under its name")
				continue
			}
			require.Len(t, c.BoxID, 12, "formed like an id, or the server refuses it for its form")
		}
		require.True(t, strings.HasPrefix(calls[3].ExecID, fakeExec))
		require.Len(t, calls[3].ExecID, 36)
	}
}

func TestPerform_OnlyBoxesOfTheRunAreKeptOfAList(t *testing.T) {
	s := startEcho(t)
	r := newRig(t, s.URL, "a: b1 = create bad=name-blank\na: list")
	r.perform(t.Context(), 0)
	s.answerFirst(reply(200, `{"boxes":[{"box_id":"BOX1","name":"named-by-the-server","status":"running"},{"box_id":"S","name":"t-1-n1","status":"running"},
		{"box_id":"X","name":"t-11-b1","status":"running"},{"box_id":"Y","name":"production","status":"running"},{"box_id":"Z","name":"t-1","status":"stopped"}]}`))
	r.perform(t.Context(), 1)
	list := r.rec.Calls()[1]
	require.Equal(t, []model.BoxView{{ID: "BOX1", Name: "named-by-the-server", Status: "running"}, {ID: "S", Name: "t-1-n1", Status: "running"}}, list.Boxes)
}

func TestPerform_StopWatchesUntilTheStatusSaysSo(t *testing.T) {
	s := startEcho(t)
	var looks atomic.Int32
	r := newRig(t, s.URL, "a: b1 = create\na: stop b1")
	r.perform(t.Context(), 0)
	s.answerFirst(func(w http.ResponseWriter, q *http.Request) bool {
		if q.Method != "GET" {
			return false
		}
		status := "stopping"
		if looks.Add(1) == 4 {
			status = "stopped"
		}
		return reply(200, fmt.Sprintf(`{"box_id":"BOX1","status":%q}`, status))(w, q)
	})
	r.perform(t.Context(), 1)
	require.EqualValues(t, 4, looks.Load())
	// A refused stop is not watched.
	s.answerFirst(reply(409, `{"error":"no"}`))
	before := len(s.requests())
	r.perform(t.Context(), 1)
	require.Len(t, s.requests(), before+1)
}

// TestPerform_AStopIsNotWatchedOnceSomebodyStartsTheBox: it may run for ever then.
func TestPerform_AStopIsNotWatchedOnceSomebodyStartsTheBox(t *testing.T) {
	s := startEcho(t)
	var looks atomic.Int32
	r := newRig(t, s.URL, "a: b1 = create\na: stop b1\nb: start b1")
	r.perform(t.Context(), 0)
	s.answerFirst(func(w http.ResponseWriter, q *http.Request) bool {
		if q.Method != "GET" {
			return false
		}
		if looks.Add(1) == 2 {
			r.perform(t.Context(), 2)
		}
		return reply(200, `{"box_id":"BOX1","status":"running"}`)(w, q)
	})
	r.perform(t.Context(), 1)
	require.EqualValues(t, 2, looks.Load())
}

// hanging is a server whose attach sessions send one frame and then nothing. It calls sent once the
// client has the frame.
func hanging(t *testing.T, sent func()) *echo {
	s := startEcho(t)
	s.answerFirst(func(w http.ResponseWriter, q *http.Request) bool {
		if !strings.HasSuffix(q.URL.Path, "/attach") {
			return false
		}
		c, err := websocket.Accept(w, q, nil)
		if err != nil {
			return true
		}
		defer c.CloseNow()
		ctx := c.CloseRead(context.Background())
		_ = c.Write(ctx, websocket.MessageBinary, []byte("\x01x"))
		if c.Ping(ctx) == nil {
			sent()
		}
		<-ctx.Done()
		return true
	})
	return s
}

func TestPerform_ASilentSessionIsTimedOutOnlyIfItHadItsTime(t *testing.T) {
	s := hanging(t, func() {})
	r := newRig(t, s.URL, detached+"a: attach e1")
	r.perform(t.Context(), 0)
	r.perform(t.Context(), 1)
	env := r.env(2)
	env.Limits.Resolve = 50 * time.Millisecond
	a, _ := actions.Get("attach")
	a.Perform(t.Context(), env, r.plan.Steps[2])
	call := r.rec.Calls()[2]
	require.Equal(t, model.OK, call.Outcome)
	require.True(t, call.Attach.TimedOut)
	require.False(t, call.Attach.Cut)

	ctx, cancel := context.WithCancel(t.Context())
	s = hanging(t, cancel)
	r = newRig(t, s.URL, detached+"a: attach e1")
	r.perform(t.Context(), 0)
	r.perform(t.Context(), 1)
	r.perform(ctx, 2)
	call = r.rec.Calls()[2]
	require.Equal(t, model.OK, call.Outcome)
	require.False(t, call.Attach.TimedOut, "the plan ended, the session was not silent for too long")
	require.True(t, call.Attach.Cut)
}

func TestRefs_WaitEndsWhenTheRefIsDecidedEitherWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := model.Plan{Steps: []model.Step{{Client: "a", Action: "create", Bind: "b1"}, {Client: "a", Action: "create", Bind: "b2"}, {Client: "a", Action: "exec", On: "b1", Bind: "e1"}}}
		refs := actions.NewRefs(p, token)
		var mu sync.Mutex
		var done []model.Ref
		for _, ref := range []model.Ref{"b1", "b2", "e1", "b9"} {
			go func() {
				refs.Wait(t.Context(), ref)
				mu.Lock()
				done = append(done, ref)
				mu.Unlock()
			}()
		}
		waited := func() []model.Ref {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return append([]model.Ref(nil), done...)
		}
		require.Equal(t, []model.Ref{"b9"}, waited(), "nobody waits for what no step binds")
		refs.BindBox("b1", "ID1")
		require.Equal(t, []model.Ref{"b9", "b1"}, waited())
		refs.BindBox("b1", "")
		require.Equal(t, "ID1", refs.Box("b1"), "the first call counts")
		refs.BindBox("b2", "")
		refs.BindExec("e1", "X1", "b1", &model.Payload{Token: "p"})
		require.Len(t, waited(), 4)
		id, box, pay := refs.Exec("e1")
		require.Equal(t, "X1", id)
		require.EqualValues(t, "b1", box)
		require.Equal(t, "p", pay.Token)
		require.NotEmpty(t, refs.Box("b2"))
		refs.BindBox("b9", "never asked for")
		require.NotEqual(t, "never asked for", refs.Box("b9"))
	})
}

func TestRefs_WaitEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refs := actions.NewRefs(model.Plan{Steps: []model.Step{{Bind: "b1"}}}, token)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		began := time.Now()
		refs.Wait(ctx, "b1")
		require.Equal(t, time.Hour, time.Since(began))
	})
}

func TestPause_TellsWhetherItWaitedInFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		require.True(t, actions.Pause(ctx, 0))
		require.True(t, actions.Pause(ctx, 20*time.Second))
		require.Equal(t, 20*time.Second, time.Since(began))
		require.False(t, actions.Pause(ctx, time.Hour))
		require.Equal(t, time.Minute, time.Since(began))
		require.False(t, actions.Pause(ctx, 0))
	})
}

func TestRecorder_OpenCallsAreUnknown(t *testing.T) {
	entered := make(chan struct{})
	s := startEcho(t)
	s.answerFirst(func(_ http.ResponseWriter, q *http.Request) bool { close(entered); <-q.Context().Done(); return true })
	r := newRig(t, s.URL, "a: get b1")
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { r.perform(ctx, 0) })
	<-entered
	calls := r.rec.Calls()
	require.Len(t, calls, 1)
	require.Equal(t, model.Unknown, calls[0].Outcome)
	require.EqualValues(t, "b1", calls[0].Box)
	require.GreaterOrEqual(t, calls[0].Return, calls[0].Invoke)
	cancel()
	done.Wait()
	calls = r.rec.Calls()
	require.Len(t, calls, 1)
	require.Equal(t, model.Unknown, calls[0].Outcome)
	require.Contains(t, calls[0].Error, "context canceled")
}
