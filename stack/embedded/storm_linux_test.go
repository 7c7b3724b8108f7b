package embedded

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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
