package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"go.uber.org/zap"

	"chaos/stack/embedded/bugs"
)

// maxExecBody bounds the body of an exec request that may have to be sent more than once, in bytes.
const maxExecBody = 8 << 20

var (
	errNotReady = &apiError{status: http.StatusRequestTimeout, code: codeTimeout, message: "Box failed to become ready in time"}
	errNoResume = &apiError{status: http.StatusConflict, code: codeConflict, message: "Box is stopped and not to be resumed by an exec: start it"}
)

// execReady makes the box run before it passes an exec request to the runner. A stop may come in
// between: then the runner refuses, having started nothing, and the box is made to run again. Each
// further round takes a stop that was accepted, and all of them together have the time that a start
// has.
func (s *Server) execReady(w http.ResponseWriter, r *http.Request, org, ref string) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxExecBody+1))
	if err != nil || len(body) > maxExecBody {
		return invalid("the request body could not be read, or is larger than %d bytes", maxExecBody)
	}
	if s.cfg.serve {
		if err := checkTimeout(body); err != nil {
			return err
		}
	}
	if row, ok := s.store.findAny(org, ref); ok && !row.visible() && s.cfg.bugs.Has(bugs.RemovedExec500) {
		return s.startExec(w, withBody(r, body), row, nil)
	}
	ctx, cancel := s.patience(r.Context())
	defer cancel()
	for stale := uint64(0); ; {
		row, err := s.ready(ctx, org, ref, readiness{stale: stale})
		if err != nil {
			return err
		}
		asleep := false
		if err := s.startExec(w, withBody(r, body), row, &asleep); err != nil || !asleep {
			return err
		}
		s.log.Info("box stopped before its exec", zap.String("box", row.id))
		stale = row.version
	}
}

func withBody(r *http.Request, body []byte) *http.Request {
	r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	return r
}

// readiness says how a box is to be made ready.
type readiness struct {
	asked bool // the owner asks for the start itself, so the box need not allow to be resumed
	// stale is a version of the row that is known to be wrong when it says that the box runs; 0 = none.
	stale uint64
}

// ready returns the row of a box that runs. It waits for a change under way, a stop included, and
// starts a box that stands still; of several callers one starts it and the others join.
func (s *Server) ready(ctx context.Context, org, ref string, how readiness) (record, error) {
	for {
		row, ok := s.store.find(org, ref)
		switch {
		case !ok:
			return record{}, boxNotFound(ref)
		case row.pending:
			if err := s.over(ctx, row.job); err != nil {
				return record{}, err
			}
			if row.job.ran() {
				return row.job.result, nil
			}
			continue
		case row.state == failed:
			return record{}, errErrored
		case row.state == started && row.version != how.stale:
			return row, nil
		case row.state == stopped && !row.spec.AutoResume && !how.asked:
			return record{}, errNoResume
		case row.state == stopped && !how.asked && s.startsUnseen():
			return row, nil // the runner starts it by itself
		}
		begun, err := s.store.begin(row, starting, started, startBox)
		if errors.Is(err, errModified) {
			continue // somebody else was first: see what they did
		}
		if err != nil {
			return record{}, err
		}
		s.log.Info("box starting", zap.String("box", row.id))
		if err := s.over(ctx, begun.job); err != nil {
			return record{}, err
		}
		if begun.job.failure != "" {
			return record{}, errBoot
		}
		if begun.job.ran() {
			return begun.job.result, nil
		}
	}
}

// ran reports whether a job that is over has made its box run. What became of the box since is
// another matter.
func (j *job) ran() bool { return j.failure == "" && !j.lost && j.result.state == started }

// patience bounds ctx by the time a box may take to run.
func (s *Server) patience(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.cfg.readyWait == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, s.cfg.readyWait, errNotReady)
}

// over waits for the end of j, whatever it is. Its result can be read then.
func (s *Server) over(ctx context.Context, j *job) error {
	select {
	case <-j.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.ctx.Done():
		return errors.New("the API is shutting down")
	}
}

// saysStopped reports whether a refusal of the runner is about a box that has stopped. The body can
// be read again afterwards.
func saysStopped(resp *http.Response) (bool, error) {
	text, err := runnerError(resp)
	return strings.HasPrefix(text.Error, "stopped: "), err
}

// runnerRefusal is the body of an error of the runner.
type runnerRefusal struct {
	Error string `json:"error"`
	Code  string `json:"code"`
	Type  string `json:"type"`
}

// runnerError reads the body of an error of the runner and puts it back. A body that is not JSON
// gives an error text that is all of it.
func runnerError(resp *http.Response) (runnerRefusal, error) {
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	if err != nil {
		return runnerRefusal{}, err
	}
	resp.Body = readCloser{io.MultiReader(bytes.NewReader(data), resp.Body), resp.Body}
	var out runnerRefusal
	if json.Unmarshal(data, &out) != nil {
		out.Error = strings.TrimSpace(string(data))
	}
	return out, nil
}

// startsUnseen reports whether a seeded bug lets an exec start a stopped box behind the record's back.
func (s *Server) startsUnseen() bool {
	return s.cfg.bugs.Has(bugs.AutostartStaleStatus) || s.cfg.bugs.Has(bugs.ReconcilerStopsAgain)
}

// reconcile is the reconciler of reconciler-stops-again: what runs and is to be stopped, is stopped.
func (s *Server) reconcile(epoch uint64, c claim) {
	if !s.cfg.bugs.Has(bugs.ReconcilerStopsAgain) || c.State != "running" {
		return
	}
	if row, err := s.store.beginAgain(epoch, c.ID); err == nil {
		s.log.Warn("box runs that is to be stopped", zap.String("box", row.id))
	}
}
