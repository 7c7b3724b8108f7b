package doctor_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/cmd/internal/doctor"
	"chaos/model"
	"chaos/stack"
	"chaos/stack/embedded"
	"chaos/stack/embedded/bugs"
	"chaos/stack/embedded/child"
)

func TestMain(m *testing.M) {
	child.Dispatch()
	os.Exit(m.Run())
}

var quick = model.Limits{Call: 20 * time.Second, Converge: 200 * time.Millisecond}

func stackWith(t *testing.T, o embedded.Options) *embedded.Target {
	t.Helper()
	s, err := embedded.Start(t.Context(), o)
	require.NoError(t, err)
	target := embedded.NewTarget(s)
	t.Cleanup(func() {
		target.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		require.NoError(t, s.Stop(ctx))
	})
	return target
}

func TestExamine_TellsWhatTheEmbeddedStackPlays(t *testing.T) {
	for _, profile := range []string{"cloud", "serve"} {
		for _, value := range []string{model.Reject, model.Autostart} {
			t.Run(profile+" "+value, func(t *testing.T) {
				o := embedded.Options{Profile: profile, Flags: model.Flags{model.FlagExecOnStopped: value}}
				want, err := o.Contract()
				require.NoError(t, err)
				target := stackWith(t, o)
				d, err := doctor.Examine(t.Context(), target.Client(), target.Limits())
				require.NoError(t, err)
				best := d.Fits(nil)[0]
				require.Empty(t, best.Contradictions)
				require.Equal(t, want.String(), best.Contract.String())
				for _, other := range d.Fits(nil)[1:] {
					require.NotEmpty(t, other.Contradictions, other.Contract.Profile)
				}
				requireNoBoxes(t, target.Client())
			})
		}
	}
}

func TestExamine_ASeededBugContradictsEveryContract(t *testing.T) {
	target := stackWith(t, embedded.Options{Bugs: bugs.Set{bugs.Stopped500: true}})
	d, err := doctor.Examine(t.Context(), target.Client(), target.Limits())
	require.NoError(t, err)
	require.Equal(t, "cloud", d.Fits(nil)[0].Contract.Profile, "the nearest")
	for _, f := range d.Fits(nil) {
		require.False(t, f.OK())
		found := false
		for _, x := range f.Contradictions {
			found = found || x.Request == "POST …/exec on a stopped box" && strings.HasPrefix(x.Got, "500")
		}
		require.True(t, found, "%+v", f.Contradictions)
	}
	require.NotContains(t, d.Flags, model.FlagExecOnStopped, "500 tells nothing of it")
	requireNoBoxes(t, target.Client())
}

func TestExamine_AStaleStatusContradictsEveryContract(t *testing.T) {
	o := embedded.Options{Bugs: bugs.Set{bugs.AutostartStaleStatus: true}, Flags: model.Flags{model.FlagExecOnStopped: model.Autostart}}
	target := stackWith(t, o)
	d, err := doctor.Examine(t.Context(), target.Client(), model.Limits{Call: target.Limits().Call, Converge: time.Second})
	require.NoError(t, err)
	require.Equal(t, model.Autostart, d.Flags[model.FlagExecOnStopped])
	require.Contains(t, d.Fits(nil)[0].Contradictions, doctor.Contradiction{Request: "GET …/boxes/ID after POST …/exec on a stopped box",
		Expected: "running within 1s", Got: "stopped", Source: "a status shows what was accepted; #861"})
}

func requireNoBoxes(t *testing.T, c *stack.Client) {
	t.Helper()
	res, err := c.Do(t.Context(), stack.Request{Method: http.MethodGet, Path: "/boxes"})
	require.NoError(t, err)
	require.JSONEq(t, `{"boxes":[]}`, string(res.Body))
}

// fake is a server by the OpenAPI document, but for what override answers.
type fake struct {
	boxes    map[string]string // id to status
	names    map[string]string // name to id
	override func(route, status string) (int, string)
}

func (f *fake) envelope(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{"message": "no", "type": "Error", "code": code}})
}

func (f *fake) box(w http.ResponseWriter, status int, id string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"box_id": id, "status": f.boxes[id]})
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	seg := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1/"), "/")
	id, route := "", r.Method+" "+seg[0]
	if len(seg) > 1 {
		id, route = seg[1], r.Method+" "+seg[len(seg)-1]
	}
	if len(seg) == 2 {
		route = r.Method + " box"
	}
	status, there := f.boxes[id]
	if code, body := f.override(route, status); code != 0 {
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
		return
	}
	switch {
	case route == "GET boxes":
		_ = json.NewEncoder(w).Encode(map[string]any{"boxes": f.list()})
	case route == "POST boxes":
		f.create(w, r)
	case !there:
		f.envelope(w, 404, "not_found")
	case route == "GET box":
		f.box(w, 200, id)
	case route == "DELETE box" && status == "running" && r.URL.Query().Get("force") != "true", route == "POST stop" && status != "running", route == "GET metrics" && status != "running":
		f.envelope(w, 409, "invalid_state")
	case route == "DELETE box":
		delete(f.boxes, id)
		w.WriteHeader(204)
	case route == "POST signal":
		f.envelope(w, 400, "invalid_argument")
	case route == "POST stop":
		f.boxes[id] = "stopped"
		f.box(w, 200, id)
	case route == "POST start":
		f.boxes[id] = "running"
		f.box(w, 200, id)
	case route == "POST exec":
		f.boxes[id] = "running"
		w.WriteHeader(201)
		_, _ = w.Write([]byte(`{"execution_id":"e"}`))
	default:
		_, _ = w.Write([]byte(`{}`))
	}
}

func (f *fake) list() []map[string]string {
	out := []map[string]string{}
	for name, id := range f.names {
		if f.boxes[id] != "" {
			out = append(out, map[string]string{"box_id": id, "name": name})
		}
	}
	return out
}

func (f *fake) create(w http.ResponseWriter, r *http.Request) {
	var q map[string]any
	_ = json.NewDecoder(r.Body).Decode(&q)
	name, _ := q["name"].(string)
	switch {
	case q["chaos_doctor"] != nil, q["cpus"] == 0.0:
		f.envelope(w, 400, "invalid_argument")
	case f.names[name] != "":
		f.envelope(w, 409, "already_exists")
	default:
		id := "box" + name[len(name)-1:]
		f.boxes[id], f.names[name] = "configured", id
		f.box(w, 201, id)
	}
}

func serve(t *testing.T, override func(route, status string) (int, string)) (*fake, *stack.Client) {
	f := &fake{boxes: map[string]string{}, names: map[string]string{}, override: override}
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	c := stack.New(stack.Endpoint{URL: srv.URL, Key: "k"})
	t.Cleanup(c.Close)
	return f, c
}

func none(string, string) (int, string) { return 0, "" }

func TestExamine_AServerByTheDocumentIsSpec(t *testing.T) {
	f, c := serve(t, none)
	d, err := doctor.Examine(t.Context(), c, quick)
	require.NoError(t, err)
	require.Empty(t, f.boxes, "nothing is left")
	best := d.Fits(nil)[0]
	require.Empty(t, best.Contradictions)
	require.Equal(t, "spec", best.Contract.String())
	other, ok := d.Against("serve", nil)
	require.True(t, ok)
	require.Equal(t, "DELETE …/boxes/ID of a running box, without force", other.Contradictions[0].Request)
	require.Equal(t, "204", other.Contradictions[0].Expected)
	require.Contains(t, other.Contradictions[0].Got, "409 Conflict")
	require.Contains(t, other.Contradictions[0].Source, "boxlite serve")
	_, ok = d.Against("nope", nil)
	require.False(t, ok)
}

func TestExamine_AskedFlagsAreHeldAgainstWhatWasSeen(t *testing.T) {
	_, c := serve(t, none)
	d, err := doctor.Examine(t.Context(), c, quick)
	require.NoError(t, err)
	f, _ := d.Against("spec", model.Flags{model.FlagStop: model.Sync})
	require.True(t, f.OK())
	f, _ = d.Against("spec", model.Flags{model.FlagExecOnStopped: model.Reject})
	require.Len(t, f.Contradictions, 2, "the flag, and the answer of the exec: %+v", f.Contradictions)
}

func TestExamine_EachWrongAnswerIsNamed(t *testing.T) {
	for request, c := range map[string]struct {
		route, when string
		status      int
		body        string
	}{
		"POST …/exec on a stopped box":                      {"POST exec", "stopped", 500, `{"error":"exec failed: boxlite: stopped: (code=11)"}`},
		"POST …/start on a running box":                     {"POST start", "running", 400, `{"error":{"message":"no","type":"T","code":"invalid_state"}}`},
		"GET …/metrics of a stopped box":                    {"GET metrics", "stopped", 503, `{"error":{"message":"no","type":"T","code":"upstream_unavailable"}}`},
		"POST …/exec on a removed box":                      {"POST exec", "", 500, `oops`},
		"GET …/boxes/ID of no box":                          {"GET box", "", 404, `not here`},
		"POST …/stop on a stopped box":                      {"POST stop", "stopped", 409, `{"error":{"message":"no","type":"T","code":"internal"}}`},
		"GET …/boxes/ID after POST …/stop on a running box": {"POST stop", "running", 200, `{}`},
	} {
		t.Run(request, func(t *testing.T) {
			f, client := serve(t, func(route, status string) (int, string) {
				if route == c.route && status == c.when {
					return c.status, c.body
				}
				return 0, ""
			})
			d, err := doctor.Examine(t.Context(), client, quick)
			require.NoError(t, err)
			require.Empty(t, f.boxes)
			for _, fit := range d.Fits(nil) {
				found := false
				for _, x := range fit.Contradictions {
					found = found || x.Request == request
				}
				require.True(t, found, "%s: %+v", fit.Contract.Profile, fit.Contradictions)
			}
		})
	}
}

func TestExamine_WithoutABoxNothingCanBeSaid(t *testing.T) {
	_, c := serve(t, func(route, _ string) (int, string) {
		if route == "POST boxes" {
			return 429, `{"error":{"message":"full","type":"ResourceExhaustedError","code":"resource_exhausted"}}`
		}
		return 0, ""
	})
	_, err := doctor.Examine(t.Context(), c, quick)
	var unable *doctor.Unable
	require.ErrorAs(t, err, &unable)
	require.Contains(t, err.Error(), "POST …/boxes answered 429")
}

func TestExamine_WhatMakesNoBoxIsNoStack(t *testing.T) {
	for status, body := range map[int]string{200: "{}", 201: "{}", 202: "", 302: "{}"} {
		_, c := serve(t, func(string, string) (int, string) { return status, body })
		_, err := doctor.Examine(t.Context(), c, quick)
		var unable *doctor.Unable
		require.False(t, errors.As(err, &unable), "%d: nothing can be said, but the caller can mend it", status)
		require.EqualError(t, err, fmt.Sprintf("examine stack: POST …/boxes answered %d, and not 201 with a box: is this a BoxLite API?", status))
	}
	_, c := serve(t, func(string, string) (int, string) { return 503, "" })
	_, err := doctor.Examine(t.Context(), c, quick)
	require.EqualError(t, err, "cannot examine the stack: POST …/boxes answered 503 (no reason given)")
}

func TestExamine_NobodyThere(t *testing.T) {
	c := stack.New(stack.Endpoint{URL: "http://127.0.0.1:1"})
	defer c.Close()
	_, err := doctor.Examine(t.Context(), c, quick)
	require.ErrorContains(t, err, "connection refused")
}

// TestExamine_LeavesNothingWhenItIsBrokenOff breaks the examination off at each of its requests.
func TestExamine_LeavesNothingWhenItIsBrokenOff(t *testing.T) {
	for at := 1; ; at++ {
		ctx, cancel := context.WithCancel(t.Context())
		asked := 0
		f, c := serve(t, func(string, string) (int, string) {
			if asked++; asked == at {
				cancel()
			}
			return 0, ""
		})
		_, err := doctor.Examine(ctx, c, quick)
		over := ctx.Err() == nil
		cancel()
		require.Empty(t, f.boxes, "broken off at request %d", at)
		if over {
			require.NoError(t, err)
			require.Greater(t, at, 15)
			return
		}
		if err != nil {
			require.True(t, errors.Is(err, context.Canceled), "request %d: %v", at, err)
		}
	}
}
