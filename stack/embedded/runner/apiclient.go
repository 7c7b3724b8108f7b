package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

// apiClient speaks the runner protocol that package api documents.
type apiClient struct {
	http     *http.Client
	base     string
	token    string
	self     string // our own address, told to the API in every poll
	instance string // what tells us from a runner that was at this address before us
	pollWait time.Duration
	epoch    atomic.Int64 // the greatest epoch seen in an answer
}

// job is a piece of work the API hands out.
type job struct {
	ID         string  `json:"id"`
	Type       string  `json:"type"`
	ResourceID string  `json:"resource_id"`
	Payload    payload `json:"payload"`
}

type payload struct {
	Name       string            `json:"name"`
	Image      string            `json:"image"`
	Env        map[string]string `json:"env"`
	WorkingDir string            `json:"working_dir"`
	Lazy       bool              `json:"lazy"` // make the box without starting it
}

// boxReport is the state of one box in a sync report.
type boxReport struct {
	ID    string `json:"id"`
	State string `json:"state"`
}

const (
	// maxJobs is how many jobs one poll may bring.
	maxJobs = 32
	// apiTimeout bounds a call, on top of the time a poll may be held.
	apiTimeout = 10 * time.Second
)

func newAPIClient(cfg settled, self string) *apiClient {
	return &apiClient{
		http:     &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * maxJobs, IdleConnTimeout: 90 * time.Second}},
		base:     cfg.APIURL + "/api/runner",
		token:    cfg.APIToken,
		self:     self,
		instance: newUUID(),
		pollWait: cfg.pollWait,
	}
}

func (c *apiClient) close() { c.http.CloseIdleConnections() }

func (c *apiClient) poll(ctx context.Context) ([]job, error) {
	var answer struct {
		Epoch int64 `json:"epoch"`
		Jobs  []job `json:"jobs"`
	}
	err := c.post(ctx, "/jobs/poll", c.pollWait, map[string]any{
		"runner_url": c.self, "instance": c.instance, "wait_ms": c.pollWait.Milliseconds(), "max": maxJobs,
	}, &answer)
	c.saw(answer.Epoch)
	return answer.Jobs, err
}

func (c *apiClient) complete(ctx context.Context, id, coreID string, failure error) error {
	body := map[string]string{"status": "completed", "error": "", "core_id": coreID}
	if failure != nil {
		body["status"], body["error"] = "failed", failure.Error()
	}
	return c.post(ctx, "/jobs/"+url.PathEscape(id)+"/complete", 0, body, nil)
}

// sync reports boxes as they were seen after epoch.
func (c *apiClient) sync(ctx context.Context, epoch int64, boxes []boxReport) error {
	var answer struct {
		Epoch int64 `json:"epoch"`
	}
	err := c.post(ctx, "/sync", 0, map[string]any{"epoch": epoch, "boxes": boxes}, &answer)
	c.saw(answer.Epoch)
	return err
}

// saw remembers an epoch. Answers can overtake each other, and only the greatest counts.
func (c *apiClient) saw(epoch int64) {
	for {
		old := c.epoch.Load()
		if epoch <= old || c.epoch.CompareAndSwap(old, epoch) {
			return
		}
	}
}

// refusal is an answer of the API other than success.
type refusal struct {
	status int
	body   string
}

func (e *refusal) Error() string { return fmt.Sprintf("status %d: %s", e.status, e.body) }

// final reports whether the same call would be refused again.
func final(err error) bool {
	var no *refusal
	return errors.As(err, &no) && no.status >= 400 && no.status < 500 && no.status != http.StatusTooManyRequests
}

// post sends in and decodes the answer into out, unless out is nil or the answer has no body.
func (c *apiClient) post(ctx context.Context, path string, hold time.Duration, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, hold+apiTimeout)
	defer cancel()
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if res.StatusCode/100 != 2 {
		return &refusal{status: res.StatusCode, body: string(text[:min(len(text), 200)])}
	}
	if out == nil || len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("decode answer: %w", err)
	}
	return nil
}
