package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strings"

	"chaos/model"
	"chaos/stack"
)

// names are the arguments that hold the messages of a hop.
type names struct{ request, answer string }

var (
	frontNames = names{model.HoldRequest, model.HoldAnswer}
	backNames  = names{model.HoldForward, model.HoldReply}
)

// hop passes requests on to one of the parts.
type hop struct {
	proxy  *Proxy
	target func() string
	names  names
}

// ServeHTTP passes a request on and its answer back. Where there is no answer the connection ends
// without one, as it would have without us.
func (h *hop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rule := h.proxy.ruleOf(r.Header.Get(stack.TagHeader))
	if h.names == backNames {
		r.Header.Del(stack.TagHeader) // the API passes it on; the runner has no business with it
	}
	addr := h.target()
	if addr == "" {
		panic(http.ErrAbortHandler)
	}
	if h.names == frontNames && rule != nil {
		h.proxy.asked(rule, boxAsked(r))
	}
	rule.pass(r.Context(), h.names.request)
	if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		h.session(w, r, rule, addr)
		return
	}
	res, err := h.proxy.roundTrip(r.Context(), r, addr)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer res.Body.Close()
	rule.pass(r.Context(), h.names.answer)
	give(w, res)
}

// roundTrip sends r to addr.
func (p *Proxy) roundTrip(ctx context.Context, r *http.Request, addr string) (*http.Response, error) {
	out := r.Clone(ctx)
	out.URL.Scheme, out.URL.Host, out.RequestURI = "http", addr, ""
	if r.ContentLength == 0 {
		out.Body = nil
	}
	return p.transport.RoundTrip(out)
}

// give passes an answer on. A body that breaks off breaks off there, too.
func give(w http.ResponseWriter, res *http.Response) {
	maps.Copy(w.Header(), res.Header)
	if res.Close {
		w.Header().Set("Connection", "close")
	}
	w.WriteHeader(res.StatusCode)
	if _, err := io.Copy(w, res.Body); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// boxAsked returns the box that a request to make, start, stop or remove one is about: its id or name
// as the caller knows it, "" for other requests.
func boxAsked(r *http.Request) string {
	_, rest, ok := strings.Cut(r.URL.Path, "/boxes")
	if !ok {
		return ""
	}
	box, below, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "/")
	switch {
	case box == "" && r.Method == http.MethodPost:
		return nameAsked(r)
	case below == "" && r.Method == http.MethodDelete, r.Method == http.MethodPost && (below == "start" || below == "stop" || below == "exec"):
		return box
	}
	return ""
}

// maxCreate bounds the body of a create that is looked into, in bytes.
const maxCreate = 1 << 20

func nameAsked(r *http.Request) string {
	data, err := io.ReadAll(io.LimitReader(r.Body, maxCreate))
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(data), r.Body), r.Body}
	var q struct{ Name string }
	if err != nil || json.Unmarshal(data, &q) != nil {
		return ""
	}
	return q.Name
}
