package api

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStartStop_RulesOfEachState(t *testing.T) {
	g := newRig(t)
	id := g.create(`{"name":"n"}`)
	path := "/v1/boxes/" + id

	a := g.do("POST", path+"/start", "")
	require.Equal(t, 201, a.status, "start of a running box does nothing")
	require.Equal(t, "running", a.body["status"])

	g.runner.hold(stopBox)
	a = g.do("POST", path+"/stop", `{"timeout_seconds":30}`)
	require.Equal(t, 201, a.status, a.raw)
	require.Equal(t, "stopping", a.body["status"])
	require.Equal(t, id, a.body["box_id"])
	g.refused(g.do("POST", path+"/stop", ""), 400, "invalid_state", "State change in progress")
	g.refused(g.do("POST", path+"/start", ""), 400, "invalid_state", "State change in progress")
	g.refused(g.do("DELETE", path, ""), 400, "invalid_state", "Box state change in progress")
	g.runner.letGo(stopBox)
	g.eventually(id, "stopped")
	g.refused(g.do("POST", path+"/stop", ""), 400, "invalid_state", "Box is not started")

	a = g.do("POST", path+"/start", "")
	require.Equal(t, 201, a.status, a.raw)
	require.Equal(t, "running", a.body["status"])

	g.runner.hold(destroyBox)
	a = g.do("DELETE", path+"?force=true", "")
	require.Equal(t, 204, a.status)
	require.Empty(t, a.raw)
	for _, c := range [][2]string{{"GET", ""}, {"DELETE", ""}, {"POST", "/start"}, {"POST", "/stop"}, {"POST", "/exec"}, {"GET", "/metrics"}} {
		g.refused(g.do(c[0], path+c[1], ""), 404, "not_found", id)
	}
	require.Equal(t, 404, g.do("GET", "/v1/boxes/n", "").status)
	require.Empty(t, g.listed(""))
	g.runner.letGo(destroyBox)
	require.Eventually(t, func() bool { return len(g.runner.look()) == 0 }, patience, time.Millisecond)
	require.Equal(t, []string{createBox, stopBox, startBox, destroyBox}, g.runner.kinds(id))
}

func TestStart_InFlightIsJoined(t *testing.T) {
	g := newRig(t)
	id := g.create("")
	require.Equal(t, 201, g.do("POST", "/v1/boxes/"+id+"/stop", "").status)
	g.eventually(id, "stopped")
	g.runner.hold(startBox)
	answers := g.parallel(8, func(int) (string, string, string) { return "POST", "/v1/boxes/" + id + "/start", "" }, func() {
		g.eventually(id, "configured")
		g.runner.letGo(startBox)
	})
	for _, a := range answers {
		require.Equal(t, 201, a.status, a.raw)
		require.Equal(t, "running", a.body["status"])
	}
	require.Equal(t, []string{createBox, stopBox, startBox}, g.runner.kinds(id))
}

func TestStart_FailureLeavesAnErroredBoxThatCanBeDeleted(t *testing.T) {
	g := newRig(t)
	id := g.create(`{"name":"n"}`)
	require.Equal(t, 201, g.do("POST", "/v1/boxes/n/stop", "").status)
	g.eventually(id, "stopped")
	g.runner.fail(startBox, true)
	g.refused(g.do("POST", "/v1/boxes/n/start", ""), 400, "boot_failed", "failed to start")
	require.Equal(t, "unknown", g.status(id))
	g.refused(g.do("POST", "/v1/boxes/n/start", ""), 400, "invalid_state", "errored state")
	g.refused(g.do("POST", "/v1/boxes/n/stop", ""), 400, "invalid_state", "errored state")
	g.refused(g.do("POST", "/v1/boxes/n/exec", "{}"), 409, "invalid_state", "not in valid state")
	require.Equal(t, 204, g.do("DELETE", "/v1/boxes/n", "").status)
}

func TestStop_FailureLeavesTheBoxRunning(t *testing.T) {
	g := newRig(t)
	id := g.create("")
	g.runner.fail(stopBox, true)
	require.Equal(t, 201, g.do("POST", "/v1/boxes/"+id+"/stop", "").status)
	g.eventually(id, "running")
	g.runner.fail(stopBox, false)
	require.Equal(t, 201, g.do("POST", "/v1/boxes/"+id+"/stop", "").status)
	g.eventually(id, "stopped")
}

func TestDelete_FailedDestroyIsTriedAgain(t *testing.T) {
	g := newRig(t)
	id := g.create("")
	g.runner.fail(destroyBox, true)
	require.Equal(t, 204, g.do("DELETE", "/v1/boxes/"+id, "").status)
	require.Eventually(t, func() bool { return len(g.runner.kinds(id)) == 2 }, patience, time.Millisecond)
	g.runner.fail(destroyBox, false)
	require.Eventually(t, func() bool { return len(g.runner.look()) == 0 }, patience, time.Millisecond)
	require.Empty(t, g.listed(""))
}

// parallel makes n requests at the same moment and returns their answers; during runs meanwhile.
func (g *rig) parallel(n int, request func(i int) (method, path, body string), during func()) []answer {
	g.t.Helper()
	answers, errs := make([]answer, n), make([]error, n)
	var all sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-begin
			m, p, b := request(i)
			answers[i], errs[i] = call(keyA, m, g.url+p, b)
		})
	}
	close(begin)
	if during != nil {
		during()
	}
	all.Wait()
	for _, err := range errs {
		require.NoError(g.t, err)
	}
	return answers
}

func count(answers []answer) map[int]int {
	n := map[int]int{}
	for _, a := range answers {
		n[a.status]++
	}
	return n
}

func TestCreate_OneNameManyCallersOneWinner(t *testing.T) {
	g := newRig(t)
	for round := range 5 {
		body := fmt.Sprintf(`{"name":"n%d"}`, round)
		answers := g.parallel(50, func(int) (string, string, string) { return "POST", "/v1/boxes", body }, nil)
		require.Equal(t, map[int]int{201: 1, 409: 49}, count(answers))
	}
	require.Len(t, g.listed(""), 5)
}

func TestCreate_LimitHoldsUnderParallelCreates(t *testing.T) {
	g := newRig(t, func(c *Config) { c.BoxLimit = 10 })
	answers := g.parallel(40, func(int) (string, string, string) { return "POST", "/v1/boxes", "" }, nil)
	require.Equal(t, map[int]int{201: 10, 429: 30}, count(answers))
	g.refused(g.do("POST", "/v1/boxes", ""), 429, "resource_exhausted", "Organization box creation limit reached: 10 of 10")
	require.Equal(t, 201, g.as(keyB, "POST", "/v1/boxes", "").status, "the limit is per organization")
	ids := g.listed("")
	require.Len(t, ids, 10)
	require.Equal(t, 204, g.do("DELETE", "/v1/boxes/"+ids[0], "").status)
	g.create("")
}

// The states and answers that a storm of operations on few boxes may produce.
func TestLifecycle_StormKeepsToTheRules(t *testing.T) {
	g := newRig(t)
	ops := []struct {
		method, suffix string
		allowed        []int
	}{
		{"POST", "/start", []int{201, 400, 404, 409}},
		{"POST", "/stop", []int{201, 400, 404, 409}},
		{"DELETE", "", []int{204, 400, 404, 409}},
		{"GET", "", []int{200, 404}},
		{"POST", "/exec", []int{201, 404, 409}},
		{"CREATE", "", []int{201, 409}},
	}
	stop, quiet := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { // an honest runner reports all the while
		epoch := uint64(0)
		for stop.Err() == nil {
			epoch = g.runner.report(t, epoch, g.runner.look())
		}
	})
	var callers sync.WaitGroup
	for c := range 8 {
		rnd := rand.New(rand.NewPCG(7, uint64(c)))
		callers.Go(func() {
			for range 60 {
				name, op := fmt.Sprintf("s%d", rnd.IntN(3)), ops[rnd.IntN(len(ops))]
				method, path, body := op.method, "/v1/boxes/"+name+op.suffix, `{"command":"true"}`
				if method == "CREATE" {
					method, path, body = "POST", "/v1/boxes", `{"name":"`+name+`"}`
				}
				a, err := call(keyA, method, g.url+path, body)
				if err != nil || !contains(op.allowed, a.status) {
					t.Errorf("%s %s: %d %s %v", method, path, a.status, a.raw, err)
				}
			}
		})
	}
	callers.Wait()
	quiet()
	all.Wait()
	// Once it is quiet, the API and the runner agree on every box.
	require.Eventually(t, func() bool {
		g.runner.mu.Lock()
		defer g.runner.mu.Unlock()
		rows := g.api.store.list("")
		if len(rows) != len(g.runner.boxes) {
			return false
		}
		for _, r := range rows {
			if r.pending || r.state.status() != g.runner.boxes[r.id] {
				return false
			}
		}
		return true
	}, patience, 5*time.Millisecond)
	require.False(t, g.runner.overlap, "a box has one job in progress at most")
}

func contains(set []int, v int) bool {
	for _, x := range set {
		if x == v {
			return true
		}
	}
	return false
}

func TestBegin_LostRaceIsAConflict(t *testing.T) {
	g := newRig(t)
	id := g.create("")
	row, ok := g.api.store.find(orgA, id)
	require.True(t, ok)
	g.runner.hold(stopBox)
	require.Equal(t, 201, g.do("POST", "/v1/boxes/"+id+"/stop", "").status)
	_, err := g.api.store.begin(row, stopping, stopped, stopBox)
	require.ErrorIs(t, err, errModified)
	require.ErrorContains(t, err, "409 conflict: Box was modified by another operation")
	g.runner.letGo(stopBox)
}

func TestSweep_StopsIdleBoxesAndDeletesStoppedOnes(t *testing.T) {
	g := newRig(t)
	short := g.create(`{"auto_stop":60,"auto_delete":100}`)
	never := g.create(`{"auto_stop":0}`)
	now := time.Now()
	g.api.sweep(now.Add(50 * time.Second))
	require.Equal(t, "running", g.status(short))
	g.api.sweep(now.Add(70 * time.Second))
	g.eventually(short, "stopped")
	require.Equal(t, "running", g.status(never))
	g.api.sweep(now.Add(300 * time.Second))
	require.Equal(t, []string{never}, g.listed(""))
}

func TestSweep_ExecIsActivityAndMetricsIsNot(t *testing.T) {
	g := newRig(t)
	id := g.create(`{"auto_stop":60}`)
	before, _ := g.api.store.find(orgA, id)
	require.Equal(t, 200, g.do("GET", "/v1/boxes/"+id+"/metrics", "").status)
	after, _ := g.api.store.find(orgA, id)
	require.Equal(t, before.active, after.active)
	require.Equal(t, 201, g.do("POST", "/v1/boxes/"+id+"/exec", `{"command":"true"}`).status)
	after, _ = g.api.store.find(orgA, id)
	require.True(t, after.active.After(before.active))
}
