package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"

	"chaos/stack/embedded/bugs"
)

// Error codes of the contract that this API answers with.
const (
	codeInvalidArgument = "invalid_argument"
	codeUnsupported     = "unsupported"
	codeNotFound        = "not_found"
	codeAlreadyExists   = "already_exists"
	codeInvalidState    = "invalid_state"
	codeConflict        = "conflict"
	codeExhausted       = "resource_exhausted"
	codeUnauthenticated = "unauthenticated"
	codeForbidden       = "permission_denied"
	codeUpstream        = "upstream_unavailable"
	codeRunnerNotJSON   = "runner_non_json_error"
	codeBootFailed      = "boot_failed"
	codeTimeout         = "timeout"
	codeInternal        = "internal"

	// Those that only boxlite serve, or the runner behind this API, answers with.
	codeStopped   = "stopped"
	codeReaped    = "session_reaped"
	codeExecution = "execution_failed"
	codeEngine    = "engine_unavailable"
)

// typeOf gives the error type that goes with each code. BoxLite's own client reads an error only
// when message, type and code are all there as strings.
var typeOf = map[string]string{
	codeInvalidArgument: "InvalidArgumentError",
	codeUnsupported:     "UnsupportedError",
	codeNotFound:        "NotFoundError",
	codeAlreadyExists:   "AlreadyExistsError",
	codeInvalidState:    "InvalidStateError",
	codeConflict:        "ConflictError",
	codeExhausted:       "ResourceExhaustedError",
	codeUnauthenticated: "AuthError",
	codeForbidden:       "AuthError",
	codeUpstream:        "UpstreamUnavailableError",
	codeRunnerNotJSON:   "UpstreamUnavailableError",
	codeBootFailed:      "ImageError",
	codeTimeout:         "TimeoutError",
	codeInternal:        "InternalError",
	codeStopped:         "StoppedError",
	codeReaped:          "SessionReapedError",
	codeExecution:       "ExecutionError",
	codeEngine:          "EngineError",
}

// apiError is an answer to the caller. Any other error is the API's own fault and becomes a 500.
type apiError struct {
	status    int
	code      string
	message   string
	stateRule bool // the state of the box forbids the operation
	plain     bool // in the profile serve: plain text instead of the usual shape
}

func (e *apiError) Error() string { return fmt.Sprintf("%d %s: %s", e.status, e.code, e.message) }

func invalid(format string, args ...any) error {
	return &apiError{status: http.StatusBadRequest, code: codeInvalidArgument, message: fmt.Sprintf(format, args...)}
}

func unsupported(format string, args ...any) error {
	return &apiError{status: http.StatusBadRequest, code: codeUnsupported, message: fmt.Sprintf(format, args...)}
}

func stateRule(message string) error {
	return &apiError{status: http.StatusBadRequest, code: codeInvalidState, message: message, stateRule: true}
}

// boxNotFound is the one answer for a box that never was, is deleted, or belongs to somebody else.
func boxNotFound(ref string) error {
	return &apiError{status: http.StatusNotFound, code: codeNotFound, message: fmt.Sprintf("Box with ID or name %s not found", ref)}
}

func noRoute(r *http.Request) error {
	return &apiError{status: http.StatusNotFound, code: codeNotFound, message: fmt.Sprintf("Cannot %s %s", r.Method, r.URL.Path)}
}

var (
	errModified = &apiError{status: http.StatusConflict, code: codeConflict, message: "Box was modified by another operation"}
	errUnauthed = &apiError{status: http.StatusUnauthorized, code: codeUnauthenticated, message: "Unauthorized"}
	errPrefix   = &apiError{status: http.StatusForbidden, code: codeForbidden, message: "The key has no access to this path prefix"}
	errBoot     = &apiError{status: http.StatusBadRequest, code: codeBootFailed, message: "Box failed to start"}
	errNoRunner = &apiError{status: http.StatusServiceUnavailable, code: codeUpstream, message: "No available runners"}
)

// errorBody is the flat error shape of the cloud API.
type errorBody struct {
	Path       string `json:"path"`
	Timestamp  string `json:"timestamp"`
	StatusCode int    `json:"statusCode"`
	Error      string `json:"error"`
	Message    string `json:"message"`
	Type       string `json:"type,omitempty"`
	Code       string `json:"code,omitempty"`
}

// fail answers r with err. Errors that are not an apiError are logged and hidden behind a 500.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	var e *apiError
	if !errors.As(err, &e) {
		if r.Context().Err() != nil {
			return // nobody listens any more
		}
		s.log.Error("request failed", zap.String("method", r.Method), zap.String("path", r.URL.Path), zap.Error(err))
		e = &apiError{status: http.StatusInternalServerError, code: codeInternal, message: "Internal server error"}
	}
	if s.cfg.serve {
		s.failServe(w, e)
		return
	}
	body := errorBody{
		Path: r.URL.Path, Timestamp: time.Now().UTC().Format(time.RFC3339Nano),
		StatusCode: e.status, Error: http.StatusText(e.status), Message: e.message,
		Type: typeOf[e.code], Code: e.code,
	}
	if e.stateRule && s.cfg.bugs.Has(bugs.CodeMismatch) {
		// The rule's class fixes the status of the answer but not what the body says of it.
		body.StatusCode, body.Error = http.StatusInternalServerError, http.StatusText(http.StatusInternalServerError)
		body.Type, body.Code = "", ""
	}
	writeJSON(w, e.status, body)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil { // only plain structs and maps of strings get here
		panic(fmt.Sprintf("api: marshal answer: %v", err))
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(data) // a caller that is gone is not our error
}
