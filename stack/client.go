// Package stack talks to a BoxLite stack: the REST client, attach sessions and what a target must
// offer. Ways to get a target are in stack/embedded and stack/live; the runner's journal is read by
// stack/journal.
package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-resty/resty/v2"
)

// Endpoint is where a stack is and how to get in.
type Endpoint struct {
	URL    string // base without /v1, e.g. http://127.0.0.1:3000/api
	Key    string // bearer token
	Prefix string // path segment between /v1 and the route, "" for none
}

// TagHeader is the header that tells a scheduler which step a request belongs to.
const TagHeader = "X-Chaos-Step"

// Tag is the value of TagHeader for a step, by index, of the plan that runs under token.
func Tag(token string, step int) string { return token + "/" + strconv.Itoa(step) }

// Client sends requests and never repeats one: no retries, no redirects, and Response.Conns tells
// when the transport sent a request twice behind our back.
type Client struct {
	endpoint Endpoint
	rest     *resty.Client
	http     *http.Client
	fresh    *http.Client // with a new connection for each request
	tag      string       // value of TagHeader, "" for none
	gate     Gate         // nil = everything may be sent
}

// New returns a client for ep.
func New(ep Endpoint) *Client {
	ep.URL = strings.TrimRight(ep.URL, "/")
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	// resty's own transport keeps three idle connections and opens a new one for every sixth
	// request of 64 clients; net/http's keeps two.
	transport := &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: 256, IdleConnTimeout: 90 * time.Second}
	hc := &http.Client{Transport: transport, CheckRedirect: noRedirect}
	rest := resty.NewWithClient(hc).SetRetryCount(0).SetDisableWarn(true).SetLogger(silent{})
	fresh := &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}, CheckRedirect: noRedirect}
	return &Client{endpoint: ep, rest: rest, http: hc, fresh: fresh}
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// silent drops what resty would print: everything it has to say is in the error it returns.
type silent struct{}

func (silent) Errorf(string, ...any) {}
func (silent) Warnf(string, ...any)  {}
func (silent) Debugf(string, ...any) {}

// Endpoint returns where the client sends to.
func (c *Client) Endpoint() Endpoint { return c.endpoint }

// As returns a client with another key and path prefix that shares the connections of c.
func (c *Client) As(key, prefix string) *Client {
	other := *c
	other.endpoint.Key, other.endpoint.Prefix = key, prefix
	return &other
}

// Tagged returns a client that marks its requests with tag and shares the connections of c. A nil
// client stays nil.
func (c *Client) Tagged(tag string) *Client {
	if c == nil {
		return nil
	}
	other := *c
	other.tag = tag
	return &other
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Request is one call of the REST API.
type Request struct {
	Method string
	Path   string  // below /v1{prefix}, e.g. /boxes
	Body   any     // sent as JSON; nil sends nothing
	Token  *string // instead of the endpoint's key; "" sends no Authorization header
	// Authorization is that whole header, instead of a bearer token; "" sends none.
	Authorization *string
}

// Response is what came back.
type Response struct {
	Status int
	Body   []byte
	Header http.Header // nil for attach sessions
	Conns  int         // connections the transport used for this one call
	Reused bool        // the connection had been used before
}

// Do sends req and returns the answer of any status. An error means that there was no answer:
// whether the request took effect is then unknown. What the gate refuses is not sent at all.
func (c *Client) Do(ctx context.Context, req Request) (Response, error) {
	if c.gate == nil {
		return c.do(ctx, req)
	}
	if err := c.gate.Before(&req); err != nil {
		return Response{}, fmt.Errorf("%s %s: %w", req.Method, req.Path, err)
	}
	res, err := c.do(ctx, req)
	c.gate.Received(len(res.Body))
	c.gate.After(req, res, err)
	return res, err
}

func (c *Client) do(ctx context.Context, req Request) (Response, error) {
	var conns atomic.Int32
	var reused atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { conns.Add(1); reused.Store(i.Reused) }})
	r := c.rest.R().SetContext(ctx)
	if auth := c.authorization(req); auth != "" {
		r.SetHeader("Authorization", auth)
	}
	if c.tag != "" {
		r.SetHeader(TagHeader, c.tag)
	}
	if req.Body != nil {
		body, err := json.Marshal(req.Body)
		if err != nil {
			return Response{}, fmt.Errorf("encode request: %w", err)
		}
		r.SetHeader("Content-Type", "application/json").SetBody(body)
	}
	res, err := r.Execute(req.Method, c.url(req.Path))
	out := Response{Conns: int(conns.Load()), Reused: reused.Load()}
	if err != nil {
		return out, fmt.Errorf("%s %s: %w", req.Method, req.Path, err)
	}
	out.Status, out.Body, out.Header = res.StatusCode(), res.Body(), res.Header()
	return out, nil
}

// authorization is the header that says who sends req, "" for none.
func (c *Client) authorization(req Request) string {
	token := c.endpoint.Key
	switch {
	case req.Authorization != nil:
		return *req.Authorization
	case req.Token != nil:
		token = *req.Token
	}
	if token == "" {
		return ""
	}
	return "Bearer " + token
}

func (c *Client) url(path string) string {
	u := c.endpoint.URL + "/v1"
	if c.endpoint.Prefix != "" {
		u += "/" + strings.Trim(c.endpoint.Prefix, "/")
	}
	return u + path
}

// BoxPath returns the path of a box, and of what is below it.
func BoxPath(box string, below ...string) string {
	p := "/boxes/" + url.PathEscape(box)
	for _, b := range below {
		p += "/" + url.PathEscape(b)
	}
	return p
}
