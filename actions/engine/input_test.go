package engine_test

import (
	"net/http"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/model"
)

func sessions(h *model.History) []*model.Attach {
	var out []*model.Attach
	for _, c := range h.Calls {
		if c.Attach != nil {
			out = append(out, c.Attach)
		}
	}
	return out
}

func kills(h *model.History) int {
	return len(slices.DeleteFunc(slices.Clone(h.Calls), func(c model.Call) bool { return c.Op != model.OpKill }))
}

func TestRun_InputIsSentOnceAndComesBack(t *testing.T) {
	f := startFake(t, 20, hooks{})
	h, v := perform(t, f, "a: b1 = create\na: e1 = exec b1 stdin=200 stdout=3\na: attach e1\nb: attach e1 ro=yes")
	require.Equal(t, model.Pass, v.Status, "%+v", v)
	p := h.Execs()[0].Payload
	sent := 0
	for _, a := range sessions(h) {
		sent += a.Sent
		require.True(t, a.ReadOnly && a.EOF == 0 || !a.ReadOnly && (a.EOF != 0 || a.Sent == 0), "who may write tells where the input ends")
		require.Equal(t, string(p.Expected(model.Out)), string(a.Bytes(model.Out)))
	}
	require.Equal(t, len(p.Input()), sent)
	require.Zero(t, kills(h))
}

// TestRun_AnExecWhoseInputNobodyEndsIsKilled: it would wait for ever.
func TestRun_AnExecWhoseInputNobodyEndsIsKilled(t *testing.T) {
	f := startFake(t, 21, hooks{})
	h, v := perform(t, f, "a: b1 = create\na: e1 = exec b1 cut=1 sleep=50ms stdin=5 stdout=4")
	require.Equal(t, model.Pass, v.Status, "%+v", v)
	require.True(t, sessions(h)[0].Cut)
	require.Equal(t, 1, kills(h))

	f = startFake(t, 22, hooks{})
	h, v = perform(t, f, "a: b1 = create\na: e1 = exec b1 cut=1 sleep=50ms stdin=5 stdout=4\na: attach e1 again=poll")
	require.Equal(t, model.Pass, v.Status, "%+v", v)
	all := sessions(h)
	require.NotZero(t, all[len(all)-1].EOF, "the next session ends it")
	require.Zero(t, all[len(all)-1].Sent)
	require.Zero(t, kills(h))
}

// TestRun_APollingAttachTriesUntilItIsLetIn has two clients attach to one exec, which goes on until
// they have tried four times together.
func TestRun_APollingAttachTriesUntilItIsLetIn(t *testing.T) {
	var tries atomic.Int32
	enough := make(chan struct{})
	f := startFake(t, 23, hooks{before: func(op string, q *http.Request) {
		if op == model.OpAttach && tries.Add(1) == 4 {
			close(enough)
		}
		if op == model.OpMetrics {
			select {
			case <-enough:
			case <-q.Context().Done():
			}
		}
	}})
	h, v := perform(t, f, `a: b1 = create
a: e1 = exec b1 attach=no tty=yes watch=2s
a: attach e1 again=poll
b: attach e1 again=poll
c: metrics b1 after=e1
c: signal e1
`)
	require.Equal(t, model.Pass, v.Status, "%+v", v)
	statuses := map[int]int{}
	for _, c := range h.Calls {
		if c.Op == model.OpAttach {
			statuses[c.Status]++
		}
	}
	require.Equal(t, 2, statuses[101], "both were let in, one after the other")
	require.GreaterOrEqual(t, statuses[409], 2)
}
