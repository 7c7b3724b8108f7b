package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"go.uber.org/zap"

	"chaos/stack/embedded/bugs"
)

// destroyRetry is the pause before a destroy that failed is tried again.
const destroyRetry = time.Second

// maxRunnerBody bounds what a runner may send in one request.
const maxRunnerBody = 16 << 20

// routeRunner serves the protocol of doc.go.
func (s *Server) routeRunner(w http.ResponseWriter, r *http.Request, seg []string) error {
	got, want := sha256.Sum256([]byte(bearer(r))), sha256.Sum256([]byte(s.cfg.RunnerToken))
	if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		return errUnauthed
	}
	if r.Method != http.MethodPost {
		return noRoute(r)
	}
	switch {
	case len(seg) == 2 && seg[0] == "jobs" && seg[1] == "poll":
		return s.poll(w, r)
	case len(seg) == 3 && seg[0] == "jobs" && seg[2] == "complete":
		return s.complete(w, r, seg[1])
	case len(seg) == 1 && seg[0] == "sync":
		return s.sync(w, r)
	}
	return noRoute(r)
}

// jobJSON is a job on the wire.
type jobJSON struct {
	ID         string      `json:"id"`
	Type       string      `json:"type"`
	ResourceID string      `json:"resource_id"`
	Payload    payloadJSON `json:"payload"`
}

type payloadJSON struct {
	Name       string            `json:"name"`
	Image      string            `json:"image"`
	Env        map[string]string `json:"env"`
	CPUs       int               `json:"cpus"`
	MemoryMiB  int               `json:"memory_mib"`
	WorkingDir string            `json:"working_dir"`
	Lazy       bool              `json:"lazy"` // make the box, and leave it to the first start to start it
}

func (s *Server) poll(w http.ResponseWriter, r *http.Request) error {
	var q struct {
		RunnerURL string `json:"runner_url"`
		Instance  string `json:"instance"`
		WaitMS    int    `json:"wait_ms"`
		Max       int    `json:"max"`
	}
	if err := readRunner(w, r, &q); err != nil {
		return err
	}
	if u, err := url.Parse(q.RunnerURL); err != nil || u.Host == "" || q.Max < 1 || q.WaitMS < 0 || q.WaitMS > 30_000 {
		return invalid("a poll needs runner_url, max of at least 1 and wait_ms up to 30000")
	}
	deadline := time.NewTimer(time.Duration(q.WaitMS) * time.Millisecond)
	defer deadline.Stop()
	for over := false; ; {
		jobs, epoch, more := s.store.take(q.RunnerURL, s.owner(q.RunnerURL, q.Instance), q.Max)
		if len(jobs) > 0 || over {
			return s.hand(w, r, jobs, epoch)
		}
		select {
		case <-more:
		case <-deadline.C:
			over = true
		case <-r.Context().Done():
			return r.Context().Err()
		case <-s.ctx.Done():
			over = true
		}
	}
}

// owner is what tells the runner that polls from others that jobs were handed to.
func (s *Server) owner(url, instance string) string {
	if s.cfg.bugs.Has(bugs.RestartDropsJob) {
		return url
	}
	return url + " " + instance
}

// hand answers a poll. Jobs that do not reach the runner go back into the queue.
func (s *Server) hand(w http.ResponseWriter, r *http.Request, jobs []*job, epoch uint64) error {
	if err := r.Context().Err(); err != nil {
		s.store.untake(jobs)
		return err
	}
	body := struct {
		Epoch uint64    `json:"epoch"`
		Jobs  []jobJSON `json:"jobs"`
	}{epoch, []jobJSON{}}
	for _, j := range jobs {
		body.Jobs = append(body.Jobs, jobJSON{j.id, j.kind, j.boxID, payloadJSON{
			Name: j.spec.Name, Image: j.spec.Image, Env: j.spec.Env, CPUs: j.spec.CPUs, MemoryMiB: j.spec.MemoryMiB, WorkingDir: j.spec.WorkingDir, Lazy: s.cfg.serve,
		}})
	}
	data, err := json.Marshal(body)
	if err != nil {
		s.store.untake(jobs)
		return fmt.Errorf("marshal jobs: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.Write(data); err != nil {
		s.store.untake(jobs)
	}
	return nil
}

func (s *Server) complete(w http.ResponseWriter, r *http.Request, id string) error {
	var q struct {
		Status string `json:"status"`
		Error  string `json:"error"`
		CoreID string `json:"core_id"`
	}
	if err := readRunner(w, r, &q); err != nil {
		return err
	}
	failure := ""
	switch q.Status {
	case "completed":
	case "failed":
		if failure = q.Error; failure == "" {
			failure = "unspecified"
		}
	default:
		return invalid("status must be completed or failed")
	}
	j, ok := s.store.complete(id, failure, q.CoreID)
	w.WriteHeader(http.StatusNoContent)
	if !ok {
		return nil // completed before: the runner repeats a callback whose answer it lost
	}
	fields := []zap.Field{zap.String("job", j.id), zap.String("kind", j.kind), zap.String("box", j.boxID)}
	switch {
	case j.lost:
		s.log.Warn("job result dropped, its box changed meanwhile", fields...)
	case failure != "":
		s.log.Warn("runner reported a failure", append(fields, zap.String("reason", failure))...)
		s.retryDestroy(j)
	default:
		s.log.Info("box settled", append(fields, zap.String("state", string(j.result.state)))...)
	}
	return nil
}

func (s *Server) retryDestroy(j *job) {
	if j.kind != destroyBox {
		return
	}
	s.tasks.Go(func() {
		t := time.NewTimer(destroyRetry)
		defer t.Stop()
		select {
		case <-t.C:
			s.store.again(j.result)
		case <-s.ctx.Done():
		}
	})
}

// sync takes the runner's view of its boxes.
func (s *Server) sync(w http.ResponseWriter, r *http.Request) error {
	var q struct {
		Epoch uint64  `json:"epoch"`
		Boxes []claim `json:"boxes"`
	}
	if err := readRunner(w, r, &q); err != nil {
		return err
	}
	t := trust{changed: s.cfg.bugs.Has(bugs.SyncOverwrite), removed: s.cfg.bugs.Has(bugs.ListGhost), wanted: s.startsUnseen()}
	for _, c := range q.Boxes {
		if err := s.awaitDatabase(r.Context()); err != nil { // each row is read by itself
			return err
		}
		s.reconcile(q.Epoch, c)
		if row, changed := s.store.correct(q.Epoch, c, t); changed {
			s.log.Warn("state corrected by the runner's report", zap.String("box", row.id), zap.String("state", string(row.state)))
		}
	}
	writeJSON(w, http.StatusOK, map[string]uint64{"epoch": s.store.now()})
	return nil
}

func readRunner(w http.ResponseWriter, r *http.Request, v any) error {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRunnerBody)).Decode(v); err != nil {
		return badJSON(err)
	}
	return nil
}
