package model

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// ErrorShape is one of the forms in which a BoxLite server words an error.
type ErrorShape string

// The known shapes.
const (
	ShapeEnvelope ErrorShape = "envelope" // {"error":{"message","type","code"}}: the specification, boxlite serve
	ShapeFlat     ErrorShape = "flat"     // {path,timestamp,statusCode,error,message,code?}: the API
	ShapeString   ErrorShape = "string"   // {"error":"text"}: the runner's exec family
	ShapeStatus   ErrorShape = "status"   // {statusCode,message,code,…} without "error": the runner's box routes
	ShapeDetail   ErrorShape = "detail"   // {"detail":…}: the Python reference server
	ShapeText     ErrorShape = "text"     // plain text
	ShapeEmpty    ErrorShape = "empty"    // no body
)

// ErrorBody is the body of an error answer, whatever its shape.
type ErrorBody struct {
	Shape   ErrorShape
	Code    string
	Type    string
	Message string
	Status  int // status repeated in the body, 0 if none
}

// ParseError reads an error body. It never fails: what is no known JSON shape is text.
func ParseError(body string) ErrorBody {
	trimmed := strings.TrimSpace(body)
	if trimmed == "" {
		return ErrorBody{Shape: ShapeEmpty}
	}
	var flat struct {
		Error      json.RawMessage `json:"error"`
		Detail     json.RawMessage `json:"detail"`
		Message    json.RawMessage `json:"message"`
		Code       string          `json:"code"`
		Type       string          `json:"type"`
		StatusCode int             `json:"statusCode"`
	}
	if err := json.Unmarshal([]byte(trimmed), &flat); err != nil {
		return ErrorBody{Shape: ShapeText, Message: trimmed}
	}
	var env struct{ Message, Type, Code string }
	if len(flat.Error) > 0 && flat.Error[0] == '{' && json.Unmarshal(flat.Error, &env) == nil {
		return ErrorBody{Shape: ShapeEnvelope, Code: env.Code, Type: env.Type, Message: env.Message}
	}
	out := ErrorBody{Code: flat.Code, Type: flat.Type, Status: flat.StatusCode, Message: rawText(flat.Message)}
	switch {
	case flat.StatusCode != 0 && len(flat.Error) > 0:
		out.Shape = ShapeFlat
	case flat.StatusCode != 0:
		out.Shape = ShapeStatus
	case len(flat.Error) > 0:
		out.Shape, out.Message = ShapeString, rawText(flat.Error)
	case len(flat.Detail) > 0:
		out.Shape, out.Message = ShapeDetail, rawText(flat.Detail)
	default:
		return ErrorBody{Shape: ShapeText, Message: trimmed}
	}
	return out
}

func rawText(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// codeStatus is BoxLite's table of error codes (src/shared/src/errors.rs, http()).
var codeStatus = map[string][]int{
	"invalid_argument": {400}, "unsupported": {400}, "not_found": {404}, "already_exists": {409},
	"invalid_state": {400, 409}, // the API words state rules as 400, core and runner as 409
	"stopped":       {409}, "conflict": {409}, "session_reaped": {410}, "image_pull_failed": {422},
	"execution_failed": {422}, "resource_exhausted": {429}, "network_unavailable": {503},
	"upstream_unavailable": {502, 503}, "engine_unavailable": {503}, "storage_error": {500},
	"database_error": {500}, "metadata_error": {500}, "config_error": {500}, "internal": {500},
	"unauthenticated": {401}, "permission_denied": {403}, "timeout": {408, 504},
	"runner_non_json_error": {502}, "runner_error": {502},
}

// CodeFits reports whether an error code may stand in an answer with this status. Codes that are
// not in the table fit any error status.
func CodeFits(code string, status int) bool {
	want, known := codeStatus[strings.ToLower(code)]
	return !known || slices.Contains(want, status)
}

// callerPrefixes begin messages of errors that are the caller's or a known state, never the server's.
var callerPrefixes = []string{"box not found: ", "already exists: ", "invalid state: ", "stopped: ", "invalid argument: ", "Execution error: ", "images error: ", "session reaped: "}

// callerCodes are the numeric codes, printed as "(code=N)", of the same errors.
var callerCodes = []string{"code=10)", "code=11)", "code=21)"}

// TypedLeak reports whether a server-error answer carries the text of an error that has a 4xx of its own.
func TypedLeak(status int, body string) bool {
	if status < 500 {
		return false
	}
	msg := ParseError(body).Message
	for _, p := range callerPrefixes {
		if strings.Contains(msg, p) {
			return true
		}
	}
	for _, c := range callerCodes {
		if strings.Contains(msg, c) {
			return true
		}
	}
	return false
}

// StatusText is "409 Conflict" for 409, or "no answer" for 0.
func StatusText(status int) string {
	if status == 0 {
		return "no answer"
	}
	return strings.TrimSpace(http.StatusText(status))
}
