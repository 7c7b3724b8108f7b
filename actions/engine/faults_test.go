package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/actions"
	"chaos/actions/engine"
	_ "chaos/actions/faults"
	"chaos/stack"
)

// breakable is the fake with parts that say what is done to them.
type breakable struct {
	*fake
	mu   sync.Mutex
	done []string
	fail string // the verb and part that cannot be done
}

func (b *breakable) Control() stack.Control { return b }

func (b *breakable) do(what string, part stack.Part) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := fmt.Sprint(what, " ", part)
	b.done = append(b.done, text)
	if text == b.fail {
		return errors.New("no such process")
	}
	return nil
}

func (b *breakable) Kill(_ context.Context, p stack.Part) error   { return b.do("kill", p) }
func (b *breakable) Stop(_ context.Context, p stack.Part) error   { return b.do("stop", p) }
func (b *breakable) Start(_ context.Context, p stack.Part) error  { return b.do("start", p) }
func (b *breakable) Freeze(_ context.Context, p stack.Part) error { return b.do("freeze", p) }
func (b *breakable) Thaw(_ context.Context, p stack.Part) error   { return b.do("thaw", p) }
func (b *breakable) RotateJournal(context.Context) error          { return b.do("rotate", stack.Journal) }

// TestRun_EveryFaultIsUndoneAndRecorded ranges over all faults: what one does it undoes, and when the
// plan is over everything is mended whatever became of that.
func TestRun_EveryFaultIsUndoneAndRecorded(t *testing.T) {
	undo := map[string]string{"kill": "start", "stop": "start", "freeze": "thaw", "rotate": ""}
	require.NotEmpty(t, actions.Faults())
	for _, a := range actions.Faults() {
		t.Run(a.Spec().Name, func(t *testing.T) {
			b := &breakable{fake: startFake(t, 1, hooks{})}
			h, err := newEngine(t, b).Run(t.Context(), parse(t, "a: b1 = create\nx: "+a.Spec().Name+" after=b1\n"), "t-1", 7)
			require.NoError(t, err)
			require.Len(t, h.Meta.Faults, 1)
			f := h.Meta.Faults[0]
			require.Equal(t, a.Spec().Name, f.Name)
			require.Equal(t, 1, f.Step)
			require.Less(t, f.From, f.To)
			for _, part := range []stack.Part{stack.API, stack.Runner, stack.Journal} {
				for verb, back := range undo {
					at := slices.Index(b.done, fmt.Sprint(verb, " ", part))
					if at < 0 || back == "" {
						continue
					}
					require.Equal(t, fmt.Sprint(back, " ", part), b.done[at+1], "it undoes itself")
				}
				require.Contains(t, b.done, fmt.Sprint("start ", part), "the engine mends every part")
				require.Contains(t, b.done, fmt.Sprint("thaw ", part), "the engine mends every part")
			}
		})
	}
}

func TestRun_AFaultThatCannotBeDoneIsTheHarnesssFault(t *testing.T) {
	for _, fail := range []string{"kill runner", "start runner", "thaw api"} {
		b := &breakable{fake: startFake(t, 1, hooks{}), fail: fail}
		_, err := newEngine(t, b).Run(t.Context(), parse(t, "a: b1 = create\nx: runner-kill after=b1\n"), "t-1", 7)
		require.ErrorContains(t, err, "no such process", fail)
	}
}

func TestRun_RefusesWhatTheStackCannotDo(t *testing.T) {
	f := startFake(t, 1, hooks{})
	_, err := newEngine(t, f).Run(t.Context(), parse(t, "a: b1 = create\nx: runner-kill after=b1\n"), "t-1", 7)
	require.ErrorIs(t, err, engine.ErrNoControl)
	_, err = newEngine(t, f).Run(t.Context(), parse(t, "a: b1 = create hold-request=3ms\n"), "t-1", 7)
	require.ErrorIs(t, err, engine.ErrNoScheduler)
}

// TestRun_PlansWithFaultsRunAlone: nobody else may suffer from what one plan breaks.
func TestRun_PlansWithFaultsRunAlone(t *testing.T) {
	b := &breakable{fake: startFake(t, 1, hooks{})}
	e := newEngine(t, b)
	type span struct {
		from, to int64
		faulty   bool
	}
	var mu sync.Mutex
	var spans []span
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			text := "a: b1 = create\na: get b1\n"
			if i%3 == 0 {
				text += "x: runner-freeze for=5ms after=b1\n"
			}
			h, err := e.Run(t.Context(), parse(t, text), fmt.Sprintf("t-%d", i), 7)
			if err != nil {
				t.Error(err)
				return
			}
			s := span{faulty: i%3 == 0}
			s.from, s.to = h.Meta.Began.UnixNano()+h.Calls[0].Invoke, h.Meta.Began.UnixNano()+h.Calls[len(h.Calls)-1].Return
			mu.Lock()
			defer mu.Unlock()
			spans = append(spans, s)
		})
	}
	wg.Wait()
	for i, x := range spans {
		for _, y := range spans[i+1:] {
			if x.faulty || y.faulty {
				require.True(t, x.to <= y.from || y.to <= x.from, "%v and %v overlap", x, y)
			}
		}
	}
}
