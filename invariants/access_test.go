package invariants_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/invariants"
	"chaos/model"
)

// probed is a good life with a probe of b1 in it, which edit may spoil.
func probed(route, token string, status int, edit func(s *story, c *model.Call)) func() *story {
	return func() *story {
		s := lived()
		s.h.Meta.OtherTenant = true
		c := s.probe(route, token, status)
		if edit != nil {
			edit(s, c)
		}
		return end(s)
	}
}

func (s *story) probe(route, token string, status int) *model.Call {
	c := s.op(model.OpProbe, "b1", status)
	c.Route, c.Variant = route, token
	return c
}

// pair is what another organization gets for b1 and for nothing.
func pair(route string, foreign, missing string) func() *story {
	return probed(route, "other", 404, func(s *story, c *model.Call) {
		c.Body = foreign
		twin := s.probe(route, "other-missing", 404)
		twin.BoxID, twin.Body = "NOTHING", missing
	})
}

func nothingThere(id string) string {
	return `{"statusCode":404,"error":"Not Found","path":"/boxes/` + id + `","message":"box not found: ` + id + `","code":"not_found"}`
}

func TestAccess_GoodHistoriesPass(t *testing.T) {
	for name, make := range map[string]func() *story{
		"turned away":             probed("stop", "missing", 401, nil),
		"turned away, softly":     probed("stop", "", 403, nil),
		"too many bad tokens":     probed("get", "malformed", 429, nil),
		"a handshake for nothing": probed("attach", "", 404, func(_ *story, c *model.Call) { c.Body = " " }),
		"HEAD without a body":     probed("head", "missing", 401, func(_ *story, c *model.Call) { c.Body = " " }),
		"an id that was in the path": probed("stop", "", 401, func(_ *story, c *model.Call) {
			c.Body = `{"statusCode":401,"error":"U","path":"/boxes/IDb1/stop","message":"no"}`
		}),
		"the name that was asked for": probed("create", "", 401, func(_ *story, c *model.Call) { c.Name, c.Body = "t-1-probe", `{"error":"no t-1-probe"}` }),
		"no answer": probed("stop", "", 0, func(_ *story, c *model.Call) {
			c.Outcome, c.Body, c.GaveUp = model.Unknown, "", true
		}),
		"another organization, as if it was not there": pair("stop", nothingThere("IDb1"), nothingThere("NOTHING")),
		"another organization sees its own":            probed("list", "other-own", 200, nil),
		"another organization on our path":             probed("list", "stranger", 403, nil),
		"another organization, slowed down": probed("get", "other", 404, func(s *story, c *model.Call) {
			c.Body = nothingThere("IDb1")
			s.probe("get", "other-missing", 429)
		}),
		"another organization, by name": func() *story {
			s := pair("stop", nothingThere("t-1-b1"), nothingThere("NOTHING"))()
			s.h.Calls[6].Name = "t-1-b1"
			return s
		},
		"others in a list that is shared": func() *story { s := lived(); s.list("b1", "running").Others = 3; return end(s) },
	} {
		v := judge(make())
		require.Equal(t, model.Pass, v.Status, "%s: %+v", name, v)
	}
}

var badAccess = []badStory{
	{"access", "stop: not turned away", probed("stop", "", 201, nil)},
	{"access", "get: not turned away", probed("get", "missing", 200, nil)},
	{"access", "info: not turned away", probed("info", "malformed", 404, nil)},
	{"access", "metrics: 500", probed("metrics", "", 500, nil)},
	{"access", "list: tells a box id", probed("list", "missing", 401, func(_ *story, c *model.Call) { c.BoxID, c.Body = "", `{"error":"you may not see IDb1"}` })},
	{"access", "stop: tells a name", probed("stop", "", 401, func(_ *story, c *model.Call) { c.Body = `{"error":"t-1-b1 is not yours"}` })},
	{"access", "info: tells an execution id", probed("info", "", 401, func(_ *story, c *model.Call) { c.Body = `{"error":"not Xe1"}` })},
	{"access", "list: tells a name", probed("list", "", 403, func(_ *story, c *model.Call) { c.Boxes = boxes("b1", "running") })},
	{"tenant-isolation", "metrics: not turned away", probed("metrics", "other", 200, nil)},
	{"tenant-isolation", "stop: not turned away", probed("stop", "other", 400, nil)},
	{"tenant-isolation", "list: not turned away", probed("list", "stranger", 200, nil)},
	{"tenant-isolation", "list: tells a name", probed("list", "other-own", 200, func(_ *story, c *model.Call) { c.Boxes = boxes("b1", "running") })},
	{"tenant-isolation", "get: 500", probed("get", "other-missing", 500, nil)},
	{"tenant-isolation", "stop: not as if it did not exist", pair("stop", `{"error":"box not found: IDb1"}`, nothingThere("NOTHING"))},
	{"tenant-isolation", "stop: not as if it did not exist", pair("stop", `{"statusCode":404,"error":"Not Found","message":"box IDb1 is not yours","code":"not_found"}`, nothingThere("NOTHING"))},
	{"tenant-isolation", "shows boxes of others", func() *story {
		s := lived()
		s.h.Meta.Alone = true
		s.list("b1", "running").Others = 1
		return end(s)
	}},
	// What a probe does to a box shows in the box.
	{"status-truth", "stopped", func() *story { s := lived(); s.probe("stop", "", 401); s.look("b1", "stopped"); return end(s) }},
}

func TestBlind_TenantsAndQuota(t *testing.T) {
	h := end(lived()).h
	probe := model.Signature{Invariant: "tenant-isolation", Action: "probe", Detail: "metrics: not turned away"}
	list := model.Signature{Invariant: "tenant-isolation", Action: "list", Detail: "shows boxes of others"}
	quota := model.Signature{Invariant: "quota", Action: "create", Detail: "over the limit"}
	org := model.Signature{Invariant: "counters", Action: "metrics", Detail: "num_running_boxes is too high"}
	more := model.Signature{Invariant: "counters", Action: "metrics", Detail: "commands_executed_total is too high"}
	less := model.Signature{Invariant: "counters", Action: "metrics", Detail: "commands_executed_total is too low"}
	for _, sig := range []model.Signature{probe, list, quota, org, more} {
		require.NotEmpty(t, invariants.Blind(sig, h), sig)
	}
	require.Empty(t, invariants.Blind(less, h))
	h.Meta.OtherTenant, h.Meta.Alone, h.Meta.Quota = true, true, 4
	for _, sig := range []model.Signature{probe, list, quota, org, more, less} {
		require.Empty(t, invariants.Blind(sig, h), sig)
	}
}
