package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"chaos/model"
)

// job is what must be known of a job that passes.
type job struct {
	ID         string `json:"id"`
	ResourceID string `json:"resource_id"`
	Payload    struct {
		Name string `json:"name"`
	} `json:"payload"`
	raw json.RawMessage
}

// runnerSide is what the runner takes for the API. It passes on jobs, their ends, and reports.
type runnerSide struct{ proxy *Proxy }

func (s *runnerSide) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := s.proxy
	addr := p.apiAddr()
	if addr == "" {
		panic(http.ErrAbortHandler)
	}
	switch path := r.URL.Path; {
	case strings.HasSuffix(path, "/jobs/poll"):
		p.poll(w, r, addr)
		return
	case strings.HasSuffix(path, "/complete"):
		segments := strings.Split(path, "/")
		p.doneRule(segments[len(segments)-2]).pass(r.Context(), model.HoldDone)
	case strings.HasSuffix(path, "/sync"):
		body := readBody(r)
		p.reportRule(boxesIn(body)).pass(r.Context(), model.HoldReport)
	}
	res, err := p.roundTrip(r.Context(), r, addr)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer res.Body.Close()
	give(w, res)
}

// readBody reads the body of r, which can be read again.
func readBody(r *http.Request) []byte {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	setBody(r, data)
	return data
}

func setBody(r *http.Request, data []byte) {
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
	r.Header.Set("Content-Length", strconv.Itoa(len(data)))
}

func boxesIn(report []byte) []string {
	var q struct {
		Boxes []struct {
			ID string `json:"id"`
		} `json:"boxes"`
	}
	if json.Unmarshal(report, &q) != nil {
		return nil
	}
	out := make([]string, 0, len(q.Boxes))
	for _, b := range q.Boxes {
		out = append(out, b.ID)
	}
	return out
}

// mailbox holds jobs that the API has handed out and the runner has not got yet.
type mailbox struct {
	mu      sync.Mutex
	jobs    []json.RawMessage // may be delivered
	epoch   json.Number       // of the API's latest answer
	polling bool              // a poll at the API is under way
	failed  int               // status of a poll that the API refused, 0 = none
	news    chan struct{}     // closed when any of this changes
}

func (m *mailbox) wait() <-chan struct{} {
	if m.news == nil {
		m.news = make(chan struct{})
	}
	return m.news
}

func (m *mailbox) stir() {
	if m.news != nil {
		close(m.news)
		m.news = nil
	}
}

// poll answers a poll of the runner with the jobs that may go on. The API is polled in the
// background, since a job that is held must not hold up the others.
func (p *Proxy) poll(w http.ResponseWriter, r *http.Request, addr string) {
	body := readBody(r)
	var q map[string]any
	if json.Unmarshal(body, &q) != nil {
		panic(http.ErrAbortHandler)
	}
	if u, err := url.Parse(asText(q["runner_url"])); err == nil && u.Host != "" {
		p.mu.Lock()
		p.runner = u.Host
		p.mu.Unlock()
		q["runner_url"] = "http://" + p.back.addr()
	}
	changed, err := json.Marshal(q)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	setBody(r, changed)
	ms, _ := q["wait_ms"].(float64)
	deadline := time.NewTimer(time.Duration(ms)*time.Millisecond + time.Second)
	defer deadline.Stop()
	for {
		p.mail.mu.Lock()
		if len(p.mail.jobs) > 0 {
			jobs := p.mail.jobs
			p.mail.jobs = nil
			epoch := p.mail.epoch
			p.mail.mu.Unlock()
			p.deliver(w, jobs, epoch)
			return
		}
		if status := p.mail.failed; status != 0 {
			p.mail.failed = 0
			p.mail.mu.Unlock()
			if status < 0 {
				panic(http.ErrAbortHandler)
			}
			w.WriteHeader(status)
			return
		}
		news := p.mail.wait()
		if !p.mail.polling {
			p.mail.polling = true
			go p.ask(r.Clone(p.ctx), changed, addr)
		}
		p.mail.mu.Unlock()
		select {
		case <-news:
		case <-deadline.C:
			p.mail.mu.Lock()
			epoch := p.mail.epoch
			p.mail.mu.Unlock()
			p.deliver(w, nil, epoch)
			return
		case <-r.Context().Done():
			return
		case <-p.ctx.Done():
			panic(http.ErrAbortHandler)
		}
	}
}

func asText(v any) string {
	s, _ := v.(string)
	return s
}

// ask polls the API once and puts what comes into the mailbox, each job when its hold is over.
func (p *Proxy) ask(r *http.Request, body []byte, addr string) {
	setBody(r, body)
	jobs, epoch, status := p.fetch(r, addr)
	var ready []json.RawMessage
	for _, j := range jobs {
		rule := p.jobRule(j)
		if rule == nil || !rule.args.Has(model.HoldJob) && !rule.args.Has(model.Rank) {
			rule.pass(p.ctx, model.HoldJob)
			ready = append(ready, j.raw)
			continue
		}
		go func() {
			rule.pass(p.ctx, model.HoldJob)
			p.mail.mu.Lock()
			defer p.mail.mu.Unlock()
			p.mail.jobs = append(p.mail.jobs, j.raw)
			p.mail.stir()
		}()
	}
	p.mail.mu.Lock()
	defer p.mail.mu.Unlock()
	p.mail.polling = false
	if status == http.StatusOK {
		p.mail.epoch = epoch
		p.mail.jobs = append(p.mail.jobs, ready...)
	} else {
		p.mail.failed = status
	}
	p.mail.stir()
}

// fetch performs a poll. The status is -1 when there was no answer.
func (p *Proxy) fetch(r *http.Request, addr string) ([]job, json.Number, int) {
	ctx, cancel := context.WithTimeout(p.ctx, time.Minute)
	defer cancel()
	res, err := p.roundTrip(ctx, r, addr)
	if err != nil {
		return nil, "", -1
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, "", res.StatusCode
	}
	var answer struct {
		Epoch json.Number       `json:"epoch"`
		Jobs  []json.RawMessage `json:"jobs"`
	}
	if json.NewDecoder(res.Body).Decode(&answer) != nil {
		return nil, "", -1
	}
	out := make([]job, 0, len(answer.Jobs))
	for _, raw := range answer.Jobs {
		j := job{raw: raw}
		if json.Unmarshal(raw, &j) != nil {
			return nil, "", -1
		}
		out = append(out, j)
	}
	return out, answer.Epoch, http.StatusOK
}

// deliver answers a poll. Jobs that do not reach the runner wait for its next one.
func (p *Proxy) deliver(w http.ResponseWriter, jobs []json.RawMessage, epoch json.Number) {
	if jobs == nil {
		jobs = []json.RawMessage{}
	}
	if epoch == "" {
		epoch = "0"
	}
	data, err := json.Marshal(map[string]any{"epoch": epoch, "jobs": jobs})
	if err == nil {
		w.Header().Set("Content-Type", "application/json")
		_, err = w.Write(data)
	}
	if err != nil {
		p.mail.mu.Lock()
		defer p.mail.mu.Unlock()
		p.mail.jobs = append(jobs, p.mail.jobs...)
		p.mail.stir()
	}
}
