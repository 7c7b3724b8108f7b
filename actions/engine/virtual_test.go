package engine_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/actions"
	"chaos/actions/engine"
	"chaos/model"
	"chaos/stack"
)

// nowhere is a target that no request ever reaches: its URL has a scheme that HTTP does not know.
type nowhere struct{ client *stack.Client }

func (n nowhere) Client() *stack.Client { return n.client }
func (n nowhere) Lease(context.Context) (*stack.Lease, error) {
	return stack.NewLease(n.client, nil), nil
}
func (n nowhere) Profile() string              { return "cloud" }
func (n nowhere) Flags() model.Flags           { return nil }
func (n nowhere) Describe() string             { return "nowhere" }
func (n nowhere) Journal() stack.JournalSource { return nil }
func (n nowhere) Exclusive() bool              { return true }
func (n nowhere) ExecLogged() bool             { return false }
func (n nowhere) Dead() <-chan error           { return nil }
func (n nowhere) Control() stack.Control       { return nil }
func (n nowhere) Limits() model.Limits {
	return model.Limits{Call: time.Second, Resolve: time.Second, Converge: time.Second, Slot: time.Second, Stall: time.Second}
}

func (n nowhere) Residue(context.Context) ([]model.Residue, bool, error) { return nil, false, nil }

// chore is an action that takes the time its step says and binds what it binds.
type chore struct {
	mu   *sync.Mutex
	log  *[]did
	zero time.Time
}

// did is one step that was performed: when it began and ended, counted from the start of the run.
type did struct {
	step       int
	began, end time.Duration
	whole      bool // it was not cut off
}

func (c chore) Spec() *model.Spec                          { return &model.Spec{Name: "chore", Doc: "take time"} }
func (c chore) Ready(model.Belief) bool                    { return true }
func (c chore) Draw(model.Source, model.Belief) model.Step { return model.Step{Action: "chore"} }
func (c chore) Next(*model.Belief, model.Step)             {}
func (c chore) Perform(ctx context.Context, env *actions.Env, s model.Step) {
	d := did{step: env.Index, began: time.Since(c.zero)}
	d.whole = actions.Pause(ctx, s.Args.Duration("takes"))
	d.end = time.Since(c.zero)
	switch {
	case s.Args.Has("fails"):
	case s.Bind.IsBox():
		env.Refs.BindBox(s.Bind, "id-"+string(s.Bind))
	case s.Bind.IsExec():
		env.Refs.BindExec(s.Bind, "id-"+string(s.Bind), s.On, nil)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	*c.log = append(*c.log, d)
}

func step(client string, bind, on, after model.Ref, gap time.Duration, group int, takes string) model.Step {
	return model.Step{Client: client, Action: "chore", Bind: bind, On: on, After: after, Gap: gap, Group: group, Args: model.Args{}.With("takes", takes)}
}

// performChores runs steps in virtual time and returns what was done, by step, and the history.
func performChores(t *testing.T, ctx context.Context, steps ...model.Step) (map[int]did, *model.History) {
	p := model.Plan{Steps: steps}
	require.Nil(t, p.Check())
	var log []did
	c := chore{&sync.Mutex{}, &log, time.Now()}
	client := stack.New(stack.Endpoint{URL: "nowhere://"})
	defer client.Close()
	e := engine.New(nowhere{client}, func(string) (actions.Action, bool) { return c, true })
	defer e.Close()
	h, err := e.Run(ctx, p, "t-1", 1)
	require.NoError(t, err)
	out := map[int]did{}
	for _, d := range log {
		require.NotContains(t, out, d.step, "performed once")
		out[d.step] = d
	}
	return out, h
}

const ms = time.Millisecond

func TestRun_GapsAndOrderAreKeptToTheInstant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got, _ := performChores(t, t.Context(),
			step("a", "b1", "", "", 5*ms, 0, "10ms"),
			step("a", "", "", "", 7*ms, 0, "1ms"),
			step("b", "", "b1", "", 3*ms, 0, "1ms"),
			step("b", "", "", "", 0, 0, "2ms"),
			step("c", "", "b7", "", 0, 0, "1ms"))
		require.Equal(t, map[int]did{
			0: {0, 5 * ms, 15 * ms, true},
			1: {1, 22 * ms, 23 * ms, true}, // the gap begins when the client is free
			2: {2, 18 * ms, 19 * ms, true}, // the gap begins when what it waits for is there
			3: {3, 19 * ms, 21 * ms, true},
			4: {4, 0, 1 * ms, true}, // nothing binds b7
		}, got)
	})
}

func TestRun_AfterWaitsForTheRefWhetherOrNotItCameToBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := step("a", "b1", "", "", 0, 0, "10ms")
		failed.Args = failed.Args.With("fails", "yes")
		got, _ := performChores(t, t.Context(), failed,
			step("b", "e1", "b1", "", 0, 0, "5ms"),
			step("c", "", "", "e1", 1*ms, 0, "1ms"))
		require.Equal(t, 10*ms, got[1].began)
		require.Equal(t, 16*ms, got[2].began)
	})
}

func TestRun_AGroupStartsWhenItsLastMemberIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got, _ := performChores(t, t.Context(),
			step("a", "", "", "", 0, 0, "30ms"),
			step("b", "", "", "", 0, 0, "3ms"),
			step("a", "", "", "", 0, 1, "1ms"),
			step("b", "", "", "", 0, 1, "1ms"),
			step("c", "", "", "", 4*ms, 1, "1ms"),
			step("c", "", "", "", 0, 2, "1ms"),
			step("b", "", "", "", 0, 2, "1ms"))
		for _, i := range []int{2, 3} {
			require.Equal(t, 30*ms, got[i].began, "step %d", i)
		}
		require.Equal(t, 34*ms, got[4].began, "its own gap counts from the common start")
		require.Equal(t, 35*ms, got[5].began)
		require.Equal(t, 35*ms, got[6].began)
	})
}

func TestRun_APlanEndsAtItsLimitWhateverItsStepsDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got, h := performChores(t, t.Context(),
			step("a", "b1", "", "", 0, 0, "1000h"),
			step("b", "", "b1", "", 0, 0, "1ms"),
			step("c", "", "", "", 1000*time.Hour, 0, "1ms"),
			step("d", "", "", "", 0, 1, "1ms"),
			step("a", "", "", "", 0, 1, "1ms"),
			step("d", "", "", "", 0, 0, "1ms"))
		require.Equal(t, map[int]did{0: {0, 0, time.Minute, false}}, got, "no step begins after the end")
		require.Contains(t, h.Meta.Aborted, "1m0s")
	})
}

func TestRun_AnEndedContextEndsThePlanAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		got, h := performChores(t, ctx, step("a", "", "", "", 0, 0, "1000h"), step("a", "", "", "", 0, 0, "1ms"))
		require.Equal(t, map[int]did{0: {0, 0, 2 * time.Second, false}}, got)
		require.NotEmpty(t, h.Meta.Aborted)
		cancel()
		got, h = performChores(t, ctx, step("a", "", "", "", 0, 0, "1ms"))
		require.Empty(t, got)
		require.NotEmpty(t, h.Meta.Aborted)
	})
}

func TestRun_CleaningUpIsTriedEvenIfNothingAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h := performChores(t, t.Context(), step("a", "", "", "", 0, 0, "1ms"))
		require.Empty(t, h.Meta.Aborted)
		require.NotEmpty(t, h.Calls)
		for _, c := range h.Calls {
			require.Equal(t, model.Harness, c.Step)
			require.Equal(t, model.OpList, c.Op)
			require.Equal(t, model.Unknown, c.Outcome)
		}
	})
}
