package embedded

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/stack"
	"chaos/stack/embedded/sandbox"
)

// The clean stack under a storm of operations on few names: only answers of the contract, and
// nothing left once every box is deleted.
func TestStack_StormStaysCleanAndLeavesNothing(t *testing.T) {
	s := begin(t, Options{SyncInterval: 20 * time.Millisecond})
	ops := []struct {
		method, suffix, body string
		allowed              []int
	}{
		{"CREATE", "", "", []int{201, 409}},
		{"POST", "/start", "", []int{201, 400, 404, 409}},
		{"POST", "/stop", "", []int{201, 400, 404, 409}},
		{"DELETE", "", "", []int{204, 400, 404, 409}},
		{"GET", "", "", []int{200, 404}},
		{"GET", "/metrics", "", []int{200, 404, 409}},
		{"POST", "/exec", `{"command":"sleep","args":["100"]}`, []int{201, 404, 409}},
	}
	var callers sync.WaitGroup
	for c := range 6 {
		rnd := rand.New(rand.NewPCG(11, uint64(c)))
		callers.Go(func() {
			for range 40 {
				name, op := fmt.Sprintf("s%d", rnd.IntN(3)), ops[rnd.IntN(len(ops))]
				method, path, body := op.method, "/v1/boxes/"+name+op.suffix, op.body
				if method == "CREATE" {
					method, path, body = "POST", "/v1/boxes", `{"name":"`+name+`"}`
				}
				status, out, err := call(s, method, path, body)
				if err != nil || !slices.Contains(op.allowed, status) {
					t.Errorf("%s %s: %d %v %v", method, path, status, out, err)
				}
			}
		})
	}
	callers.Wait()
	require.True(t, eventually(func() bool {
		for i := range 3 {
			if status, _, err := call(s, "DELETE", fmt.Sprintf("/v1/boxes/s%d", i), ""); err != nil || status == 400 {
				return false // in the middle of a change: once more
			}
		}
		left, err := s.Residue(t.Context())
		return err == nil && len(left) == 0
	}))
	_, out, err := call(s, "GET", "/v1/boxes", "")
	require.NoError(t, err)
	require.Empty(t, out["boxes"])
}

// The clean stack under a storm of operations while its runner is killed again and again: callers may be told
// that it is away, boxes may not be lost or left.
func TestStack_StormOverRunnerKillsLeavesNothing(t *testing.T) {
	best, _ := sandbox.Probe()
	for _, mode := range slices.Compact([]sandbox.Mode{best, sandbox.Plain}) {
		t.Run(mode.String(), func(t *testing.T) {
			stormOverKills(t, begin(t, Options{SyncInterval: 20 * time.Millisecond, Sandbox: &mode}))
		})
	}
}

// drawCall draws a request of caller k, on one of its two names.
func drawCall(rnd *rand.Rand, k int) (method, path, body string) {
	name := fmt.Sprintf("k%d-%d", k, rnd.IntN(2))
	box := "/v1/boxes/" + name
	switch rnd.IntN(6) {
	case 0:
		return "POST", box + "/stop", ""
	case 1:
		return "POST", box + "/start", ""
	case 2:
		return "DELETE", box, ""
	case 3:
		return "POST", box + "/exec", `{"command":"sleep","args":["100"]}`
	}
	return "POST", "/v1/boxes", `{"name":"` + name + `"}`
}

func stormOverKills(t *testing.T, s *Stack) {
	var callers sync.WaitGroup
	stop := make(chan struct{})
	var done atomic.Int64
	for k := range 4 {
		rnd := rand.New(rand.NewPCG(12, uint64(k)))
		callers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				method, path, body := drawCall(rnd, k)
				status, out, err := call(s, method, path, body)
				if err != nil || status >= 500 && status < 502 {
					t.Errorf("%s %s: %d %v %v", method, path, status, out, err)
				}
				done.Add(1)
			}
		})
	}
	defer callers.Wait()
	over := sync.OnceFunc(func() { close(stop) })
	defer over()
	for range 10 {
		c, ctx := ctl(t, s)
		want := done.Load() + 20
		require.True(t, eventually(func() bool { return done.Load() > want }))
		require.NoError(t, c.Kill(ctx, stack.Runner))
		require.NoError(t, c.Start(ctx, stack.Runner))
	}
	over()
	callers.Wait()
	requireNoDeath(t, s)
	require.True(t, eventually(func() bool {
		_, out, err := call(s, "GET", "/v1/boxes", "")
		boxes, _ := out["boxes"].([]any)
		for _, b := range boxes {
			if _, _, err := call(s, "DELETE", "/v1/boxes/"+fmt.Sprint(b.(map[string]any)["box_id"]), ""); err != nil {
				return false
			}
		}
		left, residueErr := s.Residue(t.Context())
		return err == nil && len(boxes) == 0 && residueErr == nil && len(left) == 0
	}))
}
