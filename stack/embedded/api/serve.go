package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"

	"go.uber.org/zap"

	"chaos/stack/embedded/bugs"
)

// This file holds what the profile serve does otherwise than the cloud API: it plays boxlite serve,
// which is one process to its callers. Errors come in envelopes, start and stop answer 200, what is
// answered is done, and whoever meets a change under way waits for its end.

// requestID is the header that names a request.
const requestID = "X-Request-Id"

// nameRequest gives the answer the request's own name, or a new one.
func nameRequest(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get(requestID)
	if id == "" || len(id) > 128 {
		id = uuid()
	}
	w.Header().Set(requestID, id)
	r.Header.Set(requestID, id) // for the errors of the runner
}

// envelope is the error shape of the OpenAPI document.
type envelope struct {
	Error envelopeError `json:"error"`
}

type envelopeError struct {
	Message   string `json:"message"`
	Type      string `json:"type"`
	Code      string `json:"code"`
	RequestID string `json:"request_id,omitempty"`
}

// failServe answers with e as boxlite serve would.
func (s *Server) failServe(w http.ResponseWriter, e *apiError) {
	status, code := e.status, e.code
	switch {
	case e.plain:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, e.message) // a caller that is gone is not our error
		return
	case e.stateRule:
		status = http.StatusConflict
	case code == codeBootFailed:
		status, code = http.StatusServiceUnavailable, codeEngine
	}
	writeJSON(w, status, envelope{envelopeError{e.message, typeOf[code], code, w.Header().Get(requestID)}})
}

// badBody words what is wrong with a JSON body. In serve the part that reads bodies answers by itself,
// in plain text.
func (s *Server) badBody(err error) error {
	var e *apiError
	if !s.cfg.serve || !errors.As(err, &e) {
		return err
	}
	return &apiError{status: http.StatusUnprocessableEntity, plain: true, message: "Failed to deserialize the JSON body into the target type: " + e.message}
}

// codeOfStatus is the code of a refusal of the runner that says none.
var codeOfStatus = map[int]string{
	http.StatusBadRequest: codeInvalidArgument, http.StatusUnauthorized: codeUnauthenticated, http.StatusNotFound: codeNotFound,
	http.StatusConflict: codeInvalidState, http.StatusGone: codeReaped, http.StatusUnprocessableEntity: codeExecution,
	http.StatusTooManyRequests: codeExhausted, http.StatusServiceUnavailable: codeUpstream, http.StatusGatewayTimeout: codeTimeout,
}

// wrapError puts an error of the runner into an envelope.
func (s *Server) wrapError(resp *http.Response) error {
	from, err := runnerError(resp)
	if err != nil {
		return err
	}
	e := envelopeError{Message: from.Error, Type: from.Type, Code: from.Code, RequestID: resp.Request.Header.Get(requestID)}
	if e.Message == "" {
		e.Message = http.StatusText(resp.StatusCode)
	}
	if e.Code == "" || e.Type == "" {
		if e.Code = codeOfStatus[resp.StatusCode]; e.Code == "" {
			e.Code = codeInternal
		}
		e.Type = typeOf[e.Code]
	}
	data, err := json.Marshal(envelope{e})
	if err != nil {
		return err
	}
	resp.Body = readCloser{bytes.NewReader(data), resp.Body}
	resp.ContentLength = int64(len(data))
	resp.Header.Set("Content-Length", strconv.Itoa(len(data)))
	resp.Header.Set("Content-Type", "application/json; charset=utf-8")
	return nil
}

// checkTimeout refuses an exec with a negative time limit.
func checkTimeout(body []byte) error {
	var q struct {
		Timeout float64 `json:"timeout_seconds"`
	}
	if json.Unmarshal(body, &q) == nil && q.Timeout < 0 { // the runner says what is wrong with other bodies
		return invalid("timeout_seconds must not be negative")
	}
	return nil
}

// checkSignal refuses a signal that is never allowed before anything is looked up.
func checkSignal(r *http.Request, rest []string) error {
	if r.Method != http.MethodPost || shape(rest) != "executions/*/signal" {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return invalid("the request body could not be read")
	}
	withBody(r, body)
	var q struct {
		Signal *int `json:"signal"`
	}
	if json.Unmarshal(body, &q) == nil && q.Signal != nil && !slices.Contains(signals, *q.Signal) {
		return invalid("signal %d is not allowed", *q.Signal)
	}
	return nil
}

// listServe answers every box: this server has no pages.
func (s *Server) listServe(w http.ResponseWriter, org string) error {
	body := struct {
		Boxes []boxJSON `json:"boxes"`
	}{Boxes: []boxJSON{}}
	for _, row := range s.store.list(org) {
		body.Boxes = append(body.Boxes, row.json())
	}
	writeJSON(w, http.StatusOK, body)
	return nil
}

func (s *Server) startServe(w http.ResponseWriter, r *http.Request, org, ref string) error {
	row, err := s.ready(r.Context(), org, ref, readiness{asked: true})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, row.json())
	return nil
}

// stopServe answers when the box has stopped. A stop under way is joined; a box that has stopped
// already is left as it is, one that never ran cannot be stopped.
func (s *Server) stopServe(w http.ResponseWriter, r *http.Request, org, ref string) error {
	for {
		row, ok := s.store.find(org, ref)
		switch {
		case !ok:
			return boxNotFound(ref)
		case row.pending && row.state == stopping && s.cfg.bugs.Has(bugs.DoubleStop500):
			return errors.New("box " + row.id + " has a pending stop")
		case row.pending && row.state == stopping:
			return s.stoppedBy(w, r, row.job)
		case row.pending:
			if err := s.over(r.Context(), row.job); err != nil {
				return err
			}
			continue
		case row.state == failed:
			return errErrored
		case row.state == configured:
			return errNotStarted
		case row.state == stopped:
			writeJSON(w, http.StatusOK, row.json())
			return nil
		}
		begun, err := s.store.begin(row, stopping, stopped, stopBox)
		if errors.Is(err, errModified) {
			continue
		}
		if err != nil {
			return err
		}
		s.log.Info("box stopping", zap.String("box", row.id))
		return s.stoppedBy(w, r, begun.job)
	}
}

// stoppedBy answers a stop when j has stopped the box.
func (s *Server) stoppedBy(w http.ResponseWriter, r *http.Request, j *job) error {
	if err := s.over(r.Context(), j); err != nil {
		return err
	}
	if j.failure != "" {
		return errors.New("stop box " + j.boxID + ": " + j.failure)
	}
	writeJSON(w, http.StatusOK, j.result.json())
	return nil
}

// deleteServe answers when nothing of the box is left. Unless told otherwise it takes running boxes,
// too.
func (s *Server) deleteServe(w http.ResponseWriter, r *http.Request, org, ref string) error {
	gentle := r.URL.Query().Get("force") == "false"
	for {
		row, ok := s.store.find(org, ref)
		switch {
		case !ok:
			return boxNotFound(ref)
		case row.pending:
			if err := s.over(r.Context(), row.job); err != nil {
				return err
			}
			continue
		case gentle && row.state == started:
			return stateRule("Box is running: stop it first, or force its removal")
		}
		begun, err := s.store.begin(row, destroying, destroyed, destroyBox)
		if errors.Is(err, errModified) {
			continue
		}
		if err != nil {
			return err
		}
		s.log.Info("box destroying", zap.String("box", row.id))
		if err := s.over(r.Context(), begun.job); err != nil {
			return err
		}
		if begun.job.failure != "" {
			return errors.New("destroy box " + row.id + ": " + begun.job.failure)
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
}
