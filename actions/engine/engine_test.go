package engine_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/actions"
	"chaos/actions/engine"
	"chaos/invariants"
	"chaos/model"
	"chaos/model/plantext"
	"chaos/stack"
)

func parse(t *testing.T, text string) model.Plan {
	p, err := plantext.Parse(text, actions.Vocabulary{})
	require.NoError(t, err, text)
	return p
}

func newEngine(t *testing.T, target stack.Target) *engine.Engine {
	e := engine.New(target, actions.Get)
	t.Cleanup(e.Close)
	return e
}

// perform runs a plan on f and judges it.
func perform(t *testing.T, f *fake, text string) (*model.History, model.Verdict) {
	h, err := newEngine(t, f).Run(t.Context(), parse(t, text), "t-1", 7)
	require.NoError(t, err)
	return h, invariants.Judge(h, contract(t))
}

// steps returns the calls that the plan's steps made, leaving out the harness's.
func steps(h *model.History) []model.Call {
	return slices.DeleteFunc(slices.Clone(h.Calls), func(c model.Call) bool { return c.Step == model.Harness })
}

func line(c model.Call) string {
	on := c.Exec
	if on == "" {
		on = c.Box
	}
	return fmt.Sprintf("%s %s %d", c.Op, on, c.Status)
}

func lines(calls []model.Call) []string {
	var out []string
	for _, c := range calls {
		out = append(out, line(c))
	}
	return out
}

func TestRun_AWholeLife(t *testing.T) {
	f := startFake(t, 1, hooks{})
	h, v := perform(t, f, "a: b1 = create\na: e1 = exec b1 exit=3 stderr=2 stdout=20\na: stop b1 wait=no")
	require.Equal(t, model.Pass, v.Status, "%+v", v)
	require.Equal(t, []string{"create b1 201", "exec e1 201", "attach e1 101", "info e1 200"}, lines(steps(h)[:4]))
	require.Equal(t, "t-1", h.Meta.Token)
	require.Equal(t, int64(7), h.Meta.Seed)
	require.Equal(t, "fake", h.Meta.Stack)
	require.True(t, h.Meta.ResidueChecked && h.Meta.ExecLogged)
	require.Empty(t, h.Meta.Aborted)
	require.Equal(t, "fake journal", h.Journal.Kind)
	require.Len(t, h.Journal.Entries, 8, "created with its job, exec started and finished, stopped and destroyed with their jobs")
	require.Zero(t, f.count())
	// The harness looks until the stop shows, lists, counts, removes, looks, and lists again.
	rest := lines(h.Calls[len(h.Calls)-6:])
	require.Equal(t, []string{"get b1 200", "list  200", "metrics  200", "remove b1 204", "get b1 404", "list  200"}, rest)
}

func TestRun_AClientDoesOneThingAtATimeInOrder(t *testing.T) {
	f := startFake(t, 2, hooks{})
	h, v := perform(t, f, `a: b1 = create
b: b2 = create
a: get b1
b: get b2
a: list
b: e1 = exec b1 stdout=3
a: metrics b2
b: stop b2
a: remove b1
`)
	require.Equal(t, model.Pass, v.Status, "%+v", v)
	last := map[string]model.Call{}
	for _, c := range steps(h) {
		before, ok := last[c.Client]
		require.True(t, !ok || before.Return <= c.Invoke && before.Step <= c.Step, "call %d of client %s", c.ID, c.Client)
		require.Equal(t, h.Plan.Steps[c.Step].Client, c.Client)
		last[c.Client] = c
	}
	require.Len(t, last, 2)
}

func TestRun_AStepWaitsForWhatAnotherClientMakes(t *testing.T) {
	var f *fake
	var created, started atomic.Bool
	var wrong atomic.Value
	f = startFake(t, 3, hooks{
		before: func(op string, _ *http.Request) {
			if op == model.OpGet && !created.Load() || op == model.OpMetrics && !started.Load() {
				wrong.Store(op + " came too early")
			}
		},
		cut: func(op string, _ int) bool { // asked when the answer is about to be sent
			created.Store(created.Load() || op == model.OpCreate)
			started.Store(started.Load() || op == model.OpExec)
			return false
		},
	})
	h, v := perform(t, f, "a: b1 = create\nb: get b1\na: e1 = exec b1 attach=no\nc: metrics b1 after=e1")
	require.Nil(t, wrong.Load())
	require.Equal(t, model.Pass, v.Status, "%+v", v)
	require.Len(t, steps(h), 4)
}

// TestRun_AGroupIsInFlightAtOnce: the server answers no request of the group before all are there.
func TestRun_AGroupIsInFlightAtOnce(t *testing.T) {
	const members = 4
	var came atomic.Int32
	all := make(chan struct{})
	f := startFake(t, 4, hooks{before: func(op string, q *http.Request) {
		if op != model.OpMetrics || q.PathValue("box") == "" {
			return
		}
		if came.Add(1) == members {
			close(all)
		}
		select {
		case <-all:
		case <-q.Context().Done():
		}
	}})
	h, v := perform(t, f, "a: b1 = create\ntogether\n  a: metrics b1\n  b: metrics b1\n  c: metrics b1\n  d: metrics b1")
	require.Equal(t, model.Pass, v.Status, "%+v", v)
	require.EqualValues(t, members, came.Load())
	group := steps(h)[1:]
	require.Len(t, group, members)
	for _, c := range group {
		require.Equal(t, 200, c.Status)
		for _, d := range group {
			require.Less(t, c.Invoke, d.Return, "in flight at the same time")
		}
	}
}

func TestRun_WhatDependsOnARefusedCreateUsesAnIdThatNothingHas(t *testing.T) {
	f := startFake(t, 5, hooks{})
	h, v := perform(t, f, `a: b1 = create bad=cpus-zero
b: get b1
a: e1 = exec b1
c: kill e1
a: attach e1
b: stop b1
a: remove b1
c: get b9
`)
	require.Equal(t, model.Pass, v.Status, "%+v", v)
	for _, c := range steps(h)[1:] {
		require.Equal(t, 404, c.Status, line(c))
		require.Equal(t, model.Rejected, c.Outcome)
	}
	require.Empty(t, h.Journal.Entries)
}

func TestRun_WhatIsNotAnsweredIsUnknown(t *testing.T) {
	var once sync.Map
	f := startFake(t, 6, hooks{cut: func(op string, _ int) bool {
		_, again := once.LoadOrStore(op, true)
		return !again && slices.Contains([]string{model.OpExec, model.OpStop, model.OpKill}, op)
	}})
	h, v := perform(t, f, "a: b1 = create\na: e1 = exec b1\na: e2 = exec b1 attach=no sleep=50ms\na: kill e2\na: stop b1\na: info e1")
	onlyUnanswered(t, v)
	calls := steps(h)
	require.Equal(t, []string{"create b1 201", "exec e1 0", "exec e2 201", "kill e2 0", "stop b1 0", "info e1 404"}, lines(calls))
	for _, i := range []int{1, 3, 4} {
		require.Equal(t, model.Unknown, calls[i].Outcome)
		require.Contains(t, calls[i].Error, "EOF")
	}
	require.Zero(t, f.count())
}

func TestRun_ABoxWhoseCreateWasNotAnsweredIsFoundByItsNameAndRemoved(t *testing.T) {
	var cut atomic.Bool
	f := startFake(t, 7, hooks{cut: func(op string, status int) bool {
		return status == 201 && op == model.OpCreate && cut.CompareAndSwap(false, true)
	}})
	h, v := perform(t, f, "a: b1 = create\na: b2 = create\na: get b1")
	require.Equal(t, model.Unknown, h.Calls[0].Outcome)
	require.Zero(t, f.count(), "nothing is left behind")
	i := slices.IndexFunc(h.Calls, func(c model.Call) bool { return c.Op == model.OpRemove && c.Box == "b1" })
	stray := h.Calls[i]
	require.Equal(t, 204, stray.Status, "asked for by its name")
	require.Equal(t, h.Calls[0].BoxID, stray.BoxID)
	require.Contains(t, stray.BoxID, "Box0")
	require.Empty(t, h.Journal.Foreign, "the box is that of the create without an answer")
	require.True(t, slices.ContainsFunc(h.Journal.Entries, func(x model.JournalEntry) bool {
		s, job, _ := model.Sight(x.Message)
		return s.BoxID == stray.BoxID && job == "DESTROY_BOX"
	}), "its lines belong to the run")
	onlyUnanswered(t, v)
}

// onlyUnanswered fails when anybody is accused of more than not having answered: what happened is
// not known.
func onlyUnanswered(t *testing.T, v model.Verdict) {
	t.Helper()
	for _, x := range v.Violations {
		require.Equal(t, "always-answered", x.Signature.Invariant, "%+v", x)
	}
}

// TestRun_ABoxThatIsStillBeingMadeIsRemovedLater: until it is made, its removal is refused.
func TestRun_ABoxThatIsStillBeingMadeIsRemovedLater(t *testing.T) {
	refused := make(chan struct{})
	var removals atomic.Int32
	f := startFake(t, 8, hooks{
		midway: func(*fakeBox) {
			select {
			case <-refused:
			case <-t.Context().Done():
			}
		},
		before: func(op string, _ *http.Request) {
			if op == model.OpRemove && removals.Add(1) == 2 {
				close(refused) // the first has been answered
			}
		},
	})
	f.limits.Call = 2 * time.Second // the create is given up
	h, _ := perform(t, f, "a: b1 = create")
	require.Equal(t, model.Unknown, h.Calls[0].Outcome)
	require.Zero(t, f.count())
	sent := slices.DeleteFunc(slices.Clone(h.Calls), func(c model.Call) bool { return c.Op != model.OpRemove })
	require.Equal(t, 204, sent[len(sent)-1].Status)
}

func TestRun_ARemovalWithoutAGoodAnswerIsSentAgain(t *testing.T) {
	var tries atomic.Int32
	f := startFake(t, 9, hooks{before: func(op string, q *http.Request) {
		if op == model.OpRemove && tries.Add(1) <= 2 {
			panic(http.ErrAbortHandler) // the connection ends, nothing is removed
		}
	}})
	h, _ := perform(t, f, "a: b1 = create")
	require.Zero(t, f.count())
	require.EqualValues(t, 3, tries.Load())
	require.Equal(t, []string{"remove b1 0", "remove b1 0", "remove b1 204"}, lines(slices.DeleteFunc(slices.Clone(h.Calls), func(c model.Call) bool { return c.Op != model.OpRemove })))
}

func TestRun_AnUnwatchedExecIsLookedAtUntilItsEnd(t *testing.T) {
	f := startFake(t, 10, hooks{})
	h, v := perform(t, f, "a: b1 = create\na: e1 = exec b1 attach=no exit=5 sleep=50ms stdout=2\nb: e2 = exec b1 cut=1 sleep=20ms stdout=2")
	require.Equal(t, model.Pass, v.Status, "%+v", v)
	ends := map[model.Ref]int{}
	for _, c := range h.Calls {
		if c.View.Terminal() {
			ends[c.Exec] = *c.View.Exit
		}
	}
	require.Equal(t, map[model.Ref]int{"e1": 5, "e2": 0}, ends)
}

// held is a fake that holds back every answer to an exec until the client has gone.
func held(t *testing.T, seed uint64, came func()) *fake {
	return startFake(t, seed, hooks{before: func(op string, q *http.Request) {
		if op == model.OpExec {
			_, _ = io.Copy(io.Discard, q.Body) // or the server does not notice that the client goes
			came()
			<-q.Context().Done()
		}
	}})
}

func TestRun_AnInterruptedPlanRemovesItsBoxes(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := held(t, 11, cancel)
	h, err := newEngine(t, f).Run(ctx, parse(t, "a: b1 = create\nb: b2 = create\na: e1 = exec b1\na: b3 = create\nb: get b1 after=e1"), "t-1", 1)
	require.NoError(t, err)
	require.Zero(t, f.count())
	require.NotEmpty(t, h.Meta.Aborted)
	require.Equal(t, model.Inconclusive, invariants.Judge(h, contract(t)).Status)
	for _, c := range h.Calls {
		require.NotEqual(t, model.Ref("b3"), c.Box, "no step begins after the end")
	}
}

func TestRun_APlanThatTakesTooLongIsGivenUpAndStillLookedAt(t *testing.T) {
	f := held(t, 12, func() {})
	e := newEngine(t, f)
	engine.SetLimit(e, 300*time.Millisecond)
	h, err := e.Run(t.Context(), parse(t, "a: b1 = create\na: e1 = exec b1\na: list"), "t-1", 1)
	require.NoError(t, err)
	require.Zero(t, f.count())
	require.Contains(t, h.Meta.Aborted, "300ms")
	require.Equal(t, "fake journal", h.Journal.Kind)
	require.True(t, h.Meta.ResidueChecked)
	v := invariants.Judge(h, contract(t))
	require.Equal(t, model.Inconclusive, v.Status, "%+v", v)
}

func TestRun_RunsAtTheSameTimeDoNotMix(t *testing.T) {
	f := startFake(t, 13, hooks{})
	e := newEngine(t, f)
	p := parse(t, `a: b1 = create name=n1
b: b2 = create
together
  a: e1 = exec b1 stdout=20
  b: e2 = exec b2 stdout=20
  c: list
c: stop b2
a: list
`)
	var wg sync.WaitGroup
	all := make([]*model.History, 8)
	for i := range all {
		wg.Go(func() {
			h, err := e.Run(t.Context(), p, fmt.Sprintf("t-%d", i+1), 1)
			if err != nil {
				t.Error(err)
			}
			all[i] = h
		})
	}
	wg.Wait()
	require.False(t, t.Failed())
	seen := map[string]int{}
	for i, h := range all {
		v := invariants.Judge(h, contract(t))
		require.Equal(t, model.Pass, v.Status, "%+v", v)
		own := map[string]bool{}
		for _, c := range h.Calls {
			if c.Op == model.OpCreate {
				own[c.BoxID] = true
				seen[c.BoxID]++
			}
		}
		require.Len(t, own, 2)
		for _, c := range h.Calls {
			for _, b := range c.Boxes {
				require.True(t, own[b.ID], "run %d holds a box of another", i)
				require.True(t, b.Ref == "b1" || b.Ref == "b2")
			}
		}
		stops := len(slices.DeleteFunc(slices.Clone(h.Calls), func(c model.Call) bool { return c.Op != model.OpStop || c.Outcome != model.OK }))
		require.Len(t, h.Journal.Entries, 2*5+stops+2*len(h.Execs()), "five lines for a box, one for a stop, two for an exec: %v", h.Journal.Entries)
		for _, x := range h.Journal.Entries {
			s, _, ok := model.Sight(x.Message)
			require.True(t, ok && own[s.BoxID], "run %d holds a line of another: %s", i, x.Message)
		}
		require.Empty(t, h.Journal.Foreign)
	}
	require.Len(t, seen, 16)
}

func TestRun_AnUnknownActionIsTheHarnessesFault(t *testing.T) {
	f := startFake(t, 14, hooks{before: func(op string, _ *http.Request) { t.Errorf("%s was sent", op) }})
	_, err := newEngine(t, f).Run(t.Context(), model.Plan{Steps: []model.Step{{Client: "a", Action: "create", Bind: "b1"}, {Client: "a", Action: "dance"}}}, "t-1", 1)
	require.ErrorContains(t, err, `"dance"`)
}
