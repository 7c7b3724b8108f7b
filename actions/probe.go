package actions

import (
	"context"
	"net/http"

	"chaos/model"
	"chaos/stack"
)

type probe struct{}

var _ = register(probe{})

// probes are the routes tried without the right to, by name.
var probes = map[string]func(box string) (method, path string, body any){
	"list": func(string) (string, string, any) { return http.MethodGet, "/boxes", nil },
	"get":  func(box string) (string, string, any) { return http.MethodGet, stack.BoxPath(box), nil },
	"stop": func(box string) (string, string, any) { return http.MethodPost, stack.BoxPath(box, "stop"), nil },
	"exec": func(box string) (string, string, any) {
		return http.MethodPost, stack.BoxPath(box, "exec"), map[string]any{"command": "true"}
	},
	"remove": func(box string) (string, string, any) { return http.MethodDelete, stack.BoxPath(box), nil },
}

func (probe) Spec() *model.Spec {
	return &model.Spec{Name: "probe", Doc: "try a route with a token that is not valid", On: 'b', Weight: 1,
		Args: []model.ArgSpec{
			{Name: "route", Doc: "list, get, stop, exec or remove (default get)", Check: oneOf("list", "get", "stop", "exec", "remove")},
			{Name: "token", Doc: "missing = send none (default: a wrong one)", Check: oneOf("missing")},
		}}
}

func (probe) Ready(b model.Belief) bool { return len(b.Boxes) > 0 }

func (probe) Draw(src model.Source, b model.Belief) model.Step {
	s := model.Step{Action: "probe", On: pickBox(src, b, model.Running)}
	if r := model.Pick(src, []string{"list", "get", "stop", "exec", "remove"}); r != "get" {
		s.Args = args("route", r)
	}
	if model.Chance(src, 30) {
		s.Args = s.Args.With("token", "missing")
	}
	return s
}

func (probe) Next(*model.Belief, model.Step) {}

func (probe) Perform(ctx context.Context, env *Env, s model.Step) {
	c := env.call(model.OpProbe, s.On)
	route := s.Args.Get("route")
	if route == "" {
		route = "get"
	}
	token := "chaos-not-a-key"
	if s.Args.Get("token") == "missing" {
		token = ""
	}
	method, path, body := probes[route](c.BoxID)
	env.send(ctx, c, stack.Request{Method: method, Path: path, Body: body, Token: &token})
}
