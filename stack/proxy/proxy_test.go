package proxy

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/model"
	"chaos/stack"
)

// clock is that of a history.
func clock() func() int64 {
	began := time.Now()
	return func() int64 { return int64(time.Since(began)) }
}

// startProxy returns a proxy before api.
func startProxy(t *testing.T, api http.Handler) *Proxy {
	t.Helper()
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	p, err := New()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	p.SetAPI(strings.TrimPrefix(server.URL, "http://"))
	return p
}

func client(t *testing.T, p *Proxy) *stack.Client {
	c := stack.New(stack.Endpoint{URL: "http://" + p.Front(), Key: "key"})
	t.Cleanup(c.Close)
	return c
}

func step(action string, on, bind model.Ref, args ...string) model.Step {
	s := model.Step{Client: "a", Action: action, On: on, Bind: bind}
	for i := 0; i < len(args); i += 2 {
		s.Args = s.Args.With(args[i], args[i+1])
	}
	return s
}

func TestHop_PassesEverythingAsItIs(t *testing.T) {
	p := startProxy(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Location", "/somewhere")
		w.Header().Add("X-Two", "1")
		w.Header().Add("X-Two", "2")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.URL.RequestURI(), r.Header.Get("Authorization"), body)
	}))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+p.Front()+"/v1/boxes/a%2Fb/files?path=%2Fx", strings.NewReader("hello"))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer key")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusTeapot, res.StatusCode)
	require.Equal(t, "PUT /v1/boxes/a%2Fb/files?path=%2Fx Bearer key hello", string(body))
	require.Equal(t, "/somewhere", res.Header.Get("Location"))
	require.Equal(t, []string{"1", "2"}, res.Header.Values("X-Two"))
}

func TestHop_EndsWithoutAnAnswerWhereThereIsNone(t *testing.T) {
	p := startProxy(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	_, err := client(t, p).Do(t.Context(), stack.Request{Method: http.MethodPost, Path: "/boxes", Body: map[string]string{}})
	require.ErrorIs(t, err, io.EOF)
}

// arrivals is an API that notes in which order steps arrive.
type arrivals struct {
	mu    sync.Mutex
	order []string
}

func (a *arrivals) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	_, index, _ := strings.Cut(r.Header.Get(stack.TagHeader), "/")
	a.order = append(a.order, index)
	a.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

func TestRank_DecidesTheOrder(t *testing.T) {
	p := startProxy(t, &arrivals{})
	p.settle = 50 * time.Millisecond // on a busy machine as well
	plan := model.Plan{Steps: []model.Step{step("stop", "b1", "", model.Rank, "3"), step("start", "b1", "", model.Rank, "1"), step("exec", "b1", "e1", model.Rank, "2"), step("get", "b1", "")}}
	order, said := race(t, p, "t1", plan)
	require.Equal(t, "3120", order, "a step without a rank does not wait")
	require.NotEmpty(t, said)
}

func TestYield_ComesAfterAllOthers(t *testing.T) {
	p := startProxy(t, &arrivals{})
	p.settle = 50 * time.Millisecond
	plan := model.Plan{Steps: []model.Step{step("stop", "b1", "", model.Rank, "1", model.Yield, "1"), step("start", "b1", "", model.Rank, "2")}}
	end := p.Begin("t1", plan, clock())
	first := p.ruleOf("t1/0")
	first.pass(t.Context(), model.HoldRequest)
	var mu sync.Mutex
	var order []int
	var wg sync.WaitGroup
	for i := range plan.Steps {
		wg.Go(func() {
			p.ruleOf(stack.Tag("t1", i)).pass(t.Context(), model.HoldJob)
			mu.Lock()
			defer mu.Unlock()
			order = append(order, i)
		})
	}
	wg.Wait()
	end()
	require.Equal(t, []int{1, 0}, order)
}

func TestMeet_WaitsForCompany(t *testing.T) {
	api := &arrivals{}
	p := startProxy(t, api)
	plan := model.Plan{Steps: []model.Step{step("stop", "b1", "", model.HoldRequest, model.Meet), step("start", "b1", "")}}
	end := p.Begin("t1", plan, clock())
	c := client(t, p)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = c.Tagged("t1/0").Do(t.Context(), stack.Request{Method: http.MethodPost, Path: "/boxes/b1/stop"})
	}()
	require.Never(t, func() bool {
		api.mu.Lock()
		defer api.mu.Unlock()
		return len(api.order) > 0
	}, 20*time.Millisecond, 5*time.Millisecond, "it has no company yet")
	_, err := c.Tagged("t1/1").Do(t.Context(), stack.Request{Method: http.MethodPost, Path: "/boxes/b1/start"})
	require.NoError(t, err)
	<-done
	said := end()
	require.Len(t, said, 1)
	require.Equal(t, model.HoldRequest, said[0].What)
	require.Equal(t, 0, said[0].Step)
}

func TestEnd_LetsGoOfWhatIsHeld(t *testing.T) {
	api := &arrivals{}
	p := startProxy(t, api)
	plan := model.Plan{Steps: []model.Step{step("get", "b1", "", model.HoldRequest, "2s")}}
	end := p.Begin("t1", plan, clock())
	done := make(chan struct{})
	began := time.Now()
	go func() {
		defer close(done)
		_, _ = client(t, p).Tagged("t1/0").Do(t.Context(), stack.Request{Method: http.MethodGet, Path: "/boxes/b1"})
	}()
	require.Never(t, func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	}, 10*time.Millisecond, 2*time.Millisecond, "it is held")
	end()
	<-done
	require.Less(t, time.Since(began), 2*time.Second)
}

// TestBound_IsKept makes systems that fail when d messages of one box arrive in one order, and counts
// how often ranks drawn at random bring it about.
func TestBound_IsKept(t *testing.T) {
	const width, runs = 4, 150
	api := &arrivals{}
	p := startProxy(t, api)
	p.settle = 8 * time.Millisecond
	for depth := 1; depth <= 3; depth++ {
		want := []string{"2", "0", "3"}[:depth] // these steps in this order; of one, that it comes first
		hits := 0
		var mu sync.Mutex
		var wg sync.WaitGroup
		next := make(chan int, runs)
		for i := range runs {
			next <- i
		}
		close(next)
		for range 4 {
			wg.Go(func() {
				for i := range next {
					order := randomRace(t, p, fmt.Sprintf("d%d-%d", depth, i), width, i)
					mu.Lock()
					if depth == 1 && strings.HasPrefix(order, want[0]) || depth > 1 && inOrder(order, want) {
						hits++
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		rate, bound := float64(hits)/runs, Bound(width, width, depth)
		t.Logf("depth %d: seen in %d of %d runs, bound %.3f", depth, hits, runs, bound)
		require.GreaterOrEqual(t, rate, bound, "depth %d", depth)
	}
}

// randomRace lets width steps race under random ranks, on a box and an API of their own, and returns
// the order in which they arrived.
func randomRace(t *testing.T, p *Proxy, token string, width, seed int) string {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(seed), 7))
	var plan model.Plan
	for i, r := range rng.Perm(width) {
		plan.Steps = append(plan.Steps, step("stop", "b1", "", model.Rank, fmt.Sprint(r+1)))
		plan.Steps[i].Client = string(rune('a' + i))
	}
	order, _ := race(t, p, token, plan)
	return order
}

// race lets the first message of each step of plan race, and returns the order in which they passed.
func race(t *testing.T, p *Proxy, token string, plan model.Plan) (string, []model.Message) {
	t.Helper()
	end := p.Begin(token, plan, clock())
	var mu sync.Mutex
	var order []string
	var wg sync.WaitGroup
	for i := range plan.Steps {
		wg.Go(func() {
			p.ruleOf(stack.Tag(token, i)).pass(t.Context(), model.HoldRequest)
			mu.Lock()
			order = append(order, fmt.Sprint(i))
			mu.Unlock()
		})
	}
	wg.Wait()
	return strings.Join(order, ""), end()
}

func inOrder(order string, want []string) bool {
	at := -1
	for _, w := range want {
		i := strings.Index(order, w)
		if i < at {
			return false
		}
		at = i
	}
	return true
}

func whats(said []model.Message) []string {
	var out []string
	for _, m := range said {
		out = append(out, m.What)
	}
	return out
}

// TestRunnerSide_HoldsOneJobAndNotTheOthers plays a runner and an API that hands out two jobs at once.
func TestRunnerSide_HoldsOneJobAndNotTheOthers(t *testing.T) {
	var polls []string
	var mu sync.Mutex
	p := startProxy(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/boxes/box1/stop" {
			w.WriteHeader(http.StatusCreated)
			return
		}
		var q struct {
			RunnerURL string `json:"runner_url"`
		}
		_ = json.NewDecoder(r.Body).Decode(&q)
		mu.Lock()
		first := len(polls) == 0
		polls = append(polls, q.RunnerURL)
		mu.Unlock()
		if first {
			_, _ = io.WriteString(w, `{"epoch":9,"jobs":[{"id":"j1","type":"STOP_BOX","resource_id":"box1","payload":{"name":"n"}},{"id":"j2","type":"STOP_BOX","resource_id":"box2","payload":{"name":"m"}}]}`)
			return
		}
		<-time.After(20 * time.Millisecond) // a long poll
		_, _ = io.WriteString(w, `{"epoch":9,"jobs":[]}`)
	}))
	plan := model.Plan{Steps: []model.Step{step("stop", "b1", "", model.HoldJob, "60ms")}}
	end := p.Begin("t1", plan, clock())
	_, err := stack.New(stack.Endpoint{URL: "http://" + p.Front() + "/api"}).Tagged("t1/0").Do(t.Context(), stack.Request{Method: http.MethodPost, Path: "/boxes/box1/stop"})
	require.NoError(t, err)

	poll := func() (jobs []string) {
		res, err := http.Post("http://"+p.Work()+"/api/runner/jobs/poll", "application/json", strings.NewReader(`{"runner_url":"http://127.0.0.1:9","wait_ms":1000,"max":32}`))
		require.NoError(t, err)
		defer res.Body.Close()
		var q struct {
			Epoch int
			Jobs  []struct{ ID string }
		}
		require.NoError(t, json.NewDecoder(res.Body).Decode(&q))
		require.Equal(t, 9, q.Epoch)
		for _, j := range q.Jobs {
			jobs = append(jobs, j.ID)
		}
		return jobs
	}
	began := time.Now()
	require.Equal(t, []string{"j2"}, poll())
	require.Equal(t, []string{"j1"}, poll())
	require.GreaterOrEqual(t, time.Since(began), 50*time.Millisecond)
	require.Equal(t, []string{model.HoldJob}, whats(end()))
	mu.Lock()
	defer mu.Unlock()
	require.False(t, slices.Contains(polls, "http://127.0.0.1:9"), "the API is told another address of the runner")
}
