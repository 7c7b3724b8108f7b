package actions

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"chaos/model"
	"chaos/stack"
)

type probe struct{}

var _ = register(probe{})

// intrusion is a route that is tried without the right to.
type intrusion struct {
	name   string
	method string
	path   func(box, exec string) string
	body   func(env *Env) any // nil = none
	plain  bool               // the path names no box
	shake  bool               // a WebSocket handshake
}

func boxRoute(below ...string) func(box, exec string) string {
	return func(box, _ string) string { return stack.BoxPath(box, below...) }
}

func execRoute(below ...string) func(box, exec string) string {
	return func(box, exec string) string {
		return stack.BoxPath(box, append([]string{"executions", exec}, below...)...)
	}
}

func plainRoute(path string) func(box, exec string) string {
	return func(string, string) string { return path }
}

func always(body any) func(*Env) any { return func(*Env) any { return body } }

// boxIntrusions are the routes of probe, execIntrusions those of probe-exec; the first is the default.
var boxIntrusions = []intrusion{
	{name: "get", method: http.MethodGet, path: boxRoute()},
	{name: "create", method: http.MethodPost, path: plainRoute("/boxes"), plain: true, body: func(e *Env) any {
		return map[string]any{"image": "alpine:latest", "name": e.Refs.Token() + "-probe"}
	}},
	{name: "exec", method: http.MethodPost, path: boxRoute("exec"), body: always(map[string]any{"command": "true"})},
	{name: "head", method: http.MethodHead, path: boxRoute()},
	{name: "list", method: http.MethodGet, path: plainRoute("/boxes"), plain: true},
	{name: "me", method: http.MethodGet, path: plainRoute("/me"), plain: true},
	{name: "metrics", method: http.MethodGet, path: boxRoute("metrics")},
	{name: "org-metrics", method: http.MethodGet, path: plainRoute("/metrics"), plain: true},
	{name: "remove", method: http.MethodDelete, path: boxRoute()},
	{name: "start", method: http.MethodPost, path: boxRoute("start")},
	{name: "stop", method: http.MethodPost, path: boxRoute("stop")},
}

func names(list []intrusion) []string {
	var out []string
	for _, x := range list {
		out = append(out, x.name)
	}
	return out
}

// intruders are the ways to have no right, besides a wrong token.
const (
	noToken   = "missing"
	malformed = "malformed"
	other     = "other"
	stranger  = "stranger"
)

func tokenArg() model.ArgSpec {
	return model.ArgSpec{Name: "token", Check: oneOf(malformed, noToken, other, stranger),
		Doc: "missing = send none; malformed = one without its scheme; other = the key of another organization; stranger = that key on our path (default: a wrong one)"}
}

func (probe) Spec() *model.Spec {
	return &model.Spec{Name: "probe", Doc: "try a route without the right to", On: 'b', Weight: 1,
		Args: []model.ArgSpec{
			{Name: "route", Doc: "get, create, exec, head, list, me, metrics, org-metrics, remove, start or stop (default get)", Check: oneOf(names(boxIntrusions)...)},
			tokenArg(),
		}}
}

func (probe) Ready(b model.Belief) bool { return len(b.Boxes) > 0 }

func (probe) Draw(src model.Source, b model.Belief) model.Step {
	s := model.Step{Action: "probe", On: pickBox(src, b, model.Running)}
	s.Args = drawIntrusion(src, boxIntrusions)
	return s
}

// drawIntrusion draws who tries which route. Half of them come from another organization: bad tokens
// are few, because servers slow down those who send many.
func drawIntrusion(src model.Source, list []intrusion) model.Args {
	var a model.Args
	x := model.Pick(src, list)
	if x.name != list[0].name {
		a = a.With("route", x.name)
	}
	switch roll := src.Intn(100); {
	case roll < 45 && (!x.plain || x.name == "list"):
		a = a.With("token", other)
	case roll < 55 && x.name != "create":
		a = a.With("token", stranger)
	case roll < 70:
		a = a.With("token", noToken)
	case roll < 80:
		a = a.With("token", malformed)
	}
	return a
}

func (probe) Next(*model.Belief, model.Step) {}

func (probe) Perform(ctx context.Context, env *Env, s model.Step) {
	env.intrude(ctx, boxIntrusions, s)
}

// wrongToken is nobody's key.
const wrongToken = "chaos-not-a-key"

// intrude performs a step of probe or probe-exec. What another organization would do is not done
// where there is none.
func (e *Env) intrude(ctx context.Context, list []intrusion, s model.Step) {
	x := list[max(0, slices.IndexFunc(list, func(x intrusion) bool { return x.name == s.Args.Get("route") }))]
	c := e.call(model.OpProbe, s.On)
	c.Route, c.Variant = x.name, s.Args.Get("token")
	switch {
	case x.plain:
		c.BoxID = ""
	case strings.HasPrefix(c.BoxID, e.Refs.Token()+"-"):
		c.Name = c.BoxID // of a box whose id we were not told
	}
	client, auth := e.Client, "Bearer "+wrongToken
	header := &auth
	switch c.Variant {
	case noToken:
		auth = ""
	case malformed:
		auth = wrongToken
	case other, stranger:
		header, client = nil, map[string]*stack.Client{other: e.Other, stranger: e.Stranger}[c.Variant]
		if client == nil || x.name == "create" { // what it made would be in nobody's books
			return
		}
	}
	if c.Variant == other && x.plain {
		c.Variant = "other-own"
	}
	twin := *c
	e.tryRoute(ctx, client, header, x, c)
	if c.Variant != other {
		return
	}
	// The same for a box that does not exist: the two answers must not differ.
	twin.Variant, twin.Name, twin.BoxID = "other-missing", "", fakeID(twin.BoxID+twin.ExecID, 12)
	e.tryRoute(ctx, client, header, x, &twin)
}

func (e *Env) tryRoute(ctx context.Context, client *stack.Client, header *string, x intrusion, c *model.Call) {
	if x.shake {
		e.tryAttach(ctx, client, header, c)
		return
	}
	req := stack.Request{Method: x.method, Path: x.path(c.BoxID, c.ExecID), Authorization: header}
	if x.body != nil {
		req.Body = x.body(e)
	}
	if x.name == "create" {
		c.Name = e.Refs.Token() + "-probe"
	}
	e.sendAs(ctx, client, c, req)
}

// tryAttach asks for an attach session and lets go of it at once.
func (e *Env) tryAttach(ctx context.Context, client *stack.Client, header *string, c *model.Call) {
	ctx, cancel := context.WithTimeout(ctx, e.Limits.Call)
	defer cancel()
	e.Rec.begin(c)
	_, res, err := client.Attach(ctx, c.BoxID, c.ExecID, stack.AttachOptions{Knock: true, Now: e.Rec.Now, Authorization: header})
	e.answer(c, res, err)
	e.Rec.end(c)
}
