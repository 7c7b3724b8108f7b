package report

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"chaos/model"
)

// HAR is an HTTP archive, version 1.2.
type HAR struct {
	Log HARLog `json:"log"`
}

// HARLog is its only member.
type HARLog struct {
	Version string     `json:"version"`
	Creator HARCreator `json:"creator"`
	Pages   []HARPage  `json:"pages"`
	Entries []HAREntry `json:"entries"`
}

// HARCreator is the program that wrote the archive.
type HARCreator struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// HARPage is one history.
type HARPage struct {
	Started string   `json:"startedDateTime"`
	ID      string   `json:"id"`
	Title   string   `json:"title"`
	Timings struct{} `json:"pageTimings"`
}

// HAREntry is one request. Histories keep no headers, so there are none; and none could give a key away.
type HAREntry struct {
	Page     string      `json:"pageref"`
	Started  string      `json:"startedDateTime"`
	Time     float64     `json:"time"` // milliseconds
	Request  HARRequest  `json:"request"`
	Response HARResponse `json:"response"`
	Cache    struct{}    `json:"cache"`
	Timings  HARTimings  `json:"timings"`
	Comment  string      `json:"comment,omitempty"`
}

// HARPair is a name with a value.
type HARPair struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// HARRequest is what was sent, as far as the history knows it.
type HARRequest struct {
	Method      string    `json:"method"`
	URL         string    `json:"url"`
	HTTPVersion string    `json:"httpVersion"`
	Cookies     []HARPair `json:"cookies"`
	Headers     []HARPair `json:"headers"`
	Query       []HARPair `json:"queryString"`
	HeadersSize int       `json:"headersSize"`
	BodySize    int       `json:"bodySize"`
}

// HARResponse is what came back; status 0 is no answer.
type HARResponse struct {
	Status      int        `json:"status"`
	StatusText  string     `json:"statusText"`
	HTTPVersion string     `json:"httpVersion"`
	Cookies     []HARPair  `json:"cookies"`
	Headers     []HARPair  `json:"headers"`
	Content     HARContent `json:"content"`
	RedirectURL string     `json:"redirectURL"`
	HeadersSize int        `json:"headersSize"`
	BodySize    int        `json:"bodySize"`
}

// HARContent is the body of an answer.
type HARContent struct {
	Size int    `json:"size"`
	Mime string `json:"mimeType"`
	Text string `json:"text"`
}

// HARTimings are in milliseconds; -1 is not known.
type HARTimings struct {
	Send    float64 `json:"send"`
	Wait    float64 `json:"wait"`
	Receive float64 `json:"receive"`
}

// WriteHAR writes the REST calls of the histories that found came from. base is the URL of the stack, without
// /v1; version is of the program.
func WriteHAR(w io.Writer, found []Found, base, version string) error {
	out := HAR{HARLog{Version: "1.2", Creator: HARCreator{"chaos", version}, Pages: []HARPage{}, Entries: []HAREntry{}}}
	seen := map[string]bool{}
	for _, f := range found {
		h := f.History
		if h == nil || seen[h.Meta.Token] {
			continue
		}
		seen[h.Meta.Token] = true
		out.Log.Pages = append(out.Log.Pages, HARPage{Started: h.Meta.Began.Format(time.RFC3339Nano), ID: h.Meta.Token, Title: f.Signature})
		for i := range h.Calls {
			if h.Calls[i].Op != model.OpAttach {
				out.Log.Entries = append(out.Log.Entries, harEntry(h, &h.Calls[i], strings.TrimRight(base, "/")+"/v1"))
			}
		}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(out)
}

func harEntry(h *model.History, c *model.Call, root string) HAREntry {
	method, path := wire(c)
	ms := float64(c.Return-c.Invoke) / 1e6
	comment := "client " + c.Client
	if c.Client == "" {
		comment = "the harness"
	}
	if c.Error != "" {
		comment += ": " + c.Error
	}
	none := []HARPair{}
	return HAREntry{Page: h.Meta.Token, Started: h.Meta.Began.Add(time.Duration(c.Invoke)).Format(time.RFC3339Nano), Time: ms, Comment: comment,
		Request: HARRequest{Method: method, URL: root + path, HTTPVersion: "HTTP/1.1", Cookies: none, Headers: none, Query: none, HeadersSize: -1, BodySize: -1},
		Response: HARResponse{Status: c.Status, StatusText: http.StatusText(c.Status), HTTPVersion: "HTTP/1.1", Cookies: none, Headers: none,
			Content: HARContent{Size: len(c.Body), Mime: "application/json", Text: c.Body}, HeadersSize: -1, BodySize: len(c.Body)},
		Timings: HARTimings{Send: 0, Wait: ms, Receive: 0}}
}

// wire is how a call looks on the wire.
func wire(c *model.Call) (method, path string) {
	box := "/boxes/" + c.BoxID
	run := box + "/executions/" + c.ExecID
	switch c.Op {
	case model.OpCreate:
		return http.MethodPost, "/boxes"
	case model.OpGet:
		return http.MethodGet, box
	case model.OpList:
		return http.MethodGet, "/boxes"
	case model.OpStart, model.OpStop, model.OpExec:
		return http.MethodPost, box + "/" + c.Op
	case model.OpRemove:
		return http.MethodDelete, box
	case model.OpInfo:
		return http.MethodGet, run
	case model.OpSignal, model.OpResize:
		return http.MethodPost, run + "/" + c.Op
	case model.OpKill:
		return http.MethodDelete, run
	case model.OpMetrics:
		if c.BoxID == "" {
			return http.MethodGet, "/metrics"
		}
		return http.MethodGet, box + "/metrics"
	}
	return probed(c, box, run)
}

// probed is wire for a probe: its history holds the name of the route.
func probed(c *model.Call, box, run string) (method, path string) {
	switch c.Route {
	case "get", "head":
		return map[string]string{"get": http.MethodGet, "head": http.MethodHead}[c.Route], box
	case "create":
		return http.MethodPost, "/boxes"
	case "list":
		return http.MethodGet, "/boxes"
	case "me":
		return http.MethodGet, "/me"
	case "org-metrics":
		return http.MethodGet, "/metrics"
	case "metrics":
		return http.MethodGet, box + "/metrics"
	case "remove":
		return http.MethodDelete, box
	case "start", "stop", "exec":
		return http.MethodPost, box + "/" + c.Route
	}
	return http.MethodGet, run + "/" + c.Route // of an execution
}
