package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"go.uber.org/zap"

	"chaos/stack/embedded/bugs"
	"chaos/stack/embedded/sandbox"
)

// statusError is an error with the HTTP status it is answered with. Its text begins with the
// display prefix by which BoxLite's clients recognise the class of the error.
type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string { return e.text }

func errorf(status int, format string, args ...any) error {
	return &statusError{status: status, text: fmt.Sprintf(format, args...)}
}

func invalidArgument(format string, args ...any) error {
	return errorf(http.StatusBadRequest, "invalid argument: "+format, args...)
}

func invalidState(format string, args ...any) error {
	return errorf(http.StatusConflict, "invalid state: "+format, args...)
}

func boxNotFound(id string) error {
	return errorf(http.StatusNotFound, "box not found: %s", id)
}

func execNotFound(id string) error {
	return errorf(http.StatusNotFound, "execution not found: %s", id)
}

// errStopped is the answer to work for a box that has no running sandbox.
type errStopped struct{ box string }

func (e *errStopped) Error() string { return fmt.Sprintf("stopped: box %s is not running", e.box) }

// classify gives err its status and text. What is not a known class is our own fault: 500.
func (r *Runner) classify(err error) (int, string) {
	var known *statusError
	var stopped *errStopped
	var start *sandbox.StartError
	switch {
	case errors.As(err, &known):
		return known.status, known.text
	case errors.As(err, &stopped):
		return http.StatusConflict, stopped.Error()
	case errors.As(err, &start) && start.Kind == sandbox.KindOther:
		return http.StatusTooManyRequests, "resource exhausted: " + start.Msg
	case errors.As(err, &start):
		return http.StatusUnprocessableEntity, "Execution error: " + start.Msg
	case errors.Is(err, context.Canceled):
		return r.classify(errDraining)
	}
	return http.StatusInternalServerError, "internal error: " + err.Error()
}

// execError is the error of an exec that did not start, as the caller gets it.
func (r *Runner) execError(err error) error {
	var stopped *errStopped
	if r.cfg.bugs.Has(bugs.Stopped500) && errors.As(err, &stopped) {
		return errorf(http.StatusInternalServerError, "exec failed: failed to start execution: boxlite: stopped: "+
			"Handle invalidated after stop(). Box %s needs a new handle (code=11)", stopped.box)
	}
	return err
}

func (r *Runner) writeError(w http.ResponseWriter, err error) {
	status, text := r.classify(err)
	if status >= http.StatusInternalServerError {
		r.log.Error("request failed", zap.Int("status", status), zap.String("error", text))
	}
	writeJSON(w, status, errorBody(text))
}

// errorClasses are the display prefixes with the code and the type of their class.
var errorClasses = []struct{ prefix, code, kind string }{
	{"box not found: ", "not_found", "NotFoundError"},
	{"execution not found: ", "not_found", "NotFoundError"},
	{"invalid argument: ", "invalid_argument", "InvalidArgumentError"},
	{"invalid state: ", "invalid_state", "InvalidStateError"},
	{"stopped: ", "stopped", "StoppedError"},
	{"resource exhausted: ", "resource_exhausted", "ResourceExhaustedError"},
	{"Execution error: ", "execution_failed", "ExecutionError"},
	{"internal error: ", "internal", "InternalError"},
}

// errorBody is the body of an error. Upstream's runner sends the text alone; published clients take
// the class of an error only from message, code and type, so those stand beside it.
func errorBody(text string) map[string]string {
	body := map[string]string{"error": text}
	for _, c := range errorClasses {
		if rest, ok := strings.CutPrefix(text, c.prefix); ok {
			body["message"], body["code"], body["type"] = rest, c.code, c.kind
			break
		}
	}
	return body
}

// writeJSON answers with v as the body. A caller that went away is no concern of ours.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
