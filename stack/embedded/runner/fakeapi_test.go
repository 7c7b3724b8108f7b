package runner

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// fakeAPI is the API's side of the runner protocol: a queue of jobs and the reports that came in.
type fakeAPI struct {
	*httptest.Server
	mu        sync.Mutex
	jobs      []job
	wake      chan struct{}
	seq       int
	epoch     int64
	completed map[string]chan completion
	reports   [][]boxReport
	echoed    []int64 // epochs of the reports
	polls     int
	runnerURL string
	polledBy  string
	failNext  int // answer so many completions with 503
}

// instance is what the runner that polled last calls itself.
func (f *fakeAPI) instance() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.polledBy
}

type completion struct {
	Status string `json:"status"`
	Error  string `json:"error"`
	CoreID string `json:"core_id"`
}

func newFakeAPI(t *testing.T) *fakeAPI {
	f := &fakeAPI{wake: make(chan struct{}), completed: map[string]chan completion{}, epoch: 100}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/runner/jobs/poll", f.poll)
	mux.HandleFunc("POST /api/runner/jobs/{id}/complete", f.complete)
	mux.HandleFunc("POST /api/runner/sync", f.sync)
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+apiToken {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *fakeAPI) poll(w http.ResponseWriter, r *http.Request) {
	var in struct {
		RunnerURL string `json:"runner_url"`
		Instance  string `json:"instance"`
		WaitMS    int    `json:"wait_ms"`
		Max       int    `json:"max"`
	}
	_ = json.NewDecoder(r.Body).Decode(&in)
	f.mu.Lock()
	f.runnerURL, f.polledBy = in.RunnerURL, in.Instance
	f.polls++
	if len(f.jobs) == 0 {
		wake := f.wake
		f.mu.Unlock()
		select {
		case <-wake:
		case <-time.After(time.Duration(in.WaitMS) * time.Millisecond):
		case <-r.Context().Done():
			return
		}
		f.mu.Lock()
	}
	n := min(len(f.jobs), in.Max)
	jobs := f.jobs[:n]
	f.jobs = f.jobs[n:]
	f.epoch++
	epoch := f.epoch
	f.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{"epoch": epoch, "jobs": jobs})
}

func (f *fakeAPI) complete(w http.ResponseWriter, r *http.Request) {
	var c completion
	_ = json.NewDecoder(r.Body).Decode(&c)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failNext > 0 {
		f.failNext--
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if ch := f.completed[r.PathValue("id")]; ch != nil {
		ch <- c
	}
	w.WriteHeader(http.StatusNoContent)
}

func (f *fakeAPI) sync(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Epoch int64       `json:"epoch"`
		Boxes []boxReport `json:"boxes"`
	}
	_ = json.NewDecoder(r.Body).Decode(&in)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reports = append(f.reports, in.Boxes)
	f.echoed = append(f.echoed, in.Epoch)
	f.epoch++
	writeJSON(w, http.StatusOK, map[string]any{"epoch": f.epoch})
}

// submit queues jobs and returns a channel for each that gives its completions.
func (f *fakeAPI) submit(jobs ...job) []chan completion {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]chan completion, len(jobs))
	for i, j := range jobs {
		if j.ID == "" {
			f.seq++
			j.ID = fmt.Sprintf("job-%d", f.seq)
		}
		if f.completed[j.ID] == nil {
			f.completed[j.ID] = make(chan completion, 10)
		}
		out[i] = f.completed[j.ID]
		f.jobs = append(f.jobs, j)
	}
	close(f.wake)
	f.wake = make(chan struct{})
	return out
}
