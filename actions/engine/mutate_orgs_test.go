package engine_test

import "chaos/model"

// tenantMutations spoil what is promised about organizations, limits, bodies and counters.
var tenantMutations = []mutation{
	{"another organization gets in", "tenant-isolation", on(func(_ *mutant, c *model.Call) bool { return c.Op == model.OpProbe && c.Variant == "other" },
		func(_ *mutant, c *model.Call) { answer(c, 200, "{}") })},
	{"another organization can tell", "tenant-isolation", on(func(_ *mutant, c *model.Call) bool {
		return c.Op == model.OpProbe && c.Variant == "other" && c.Body != ""
	},
		func(_ *mutant, c *model.Call) { answer(c, 404, `{"error":"not yours"}`) })},
	{"a list of others' boxes", "tenant-isolation", on(func(_ *mutant, c *model.Call) bool { return c.Op == model.OpList }, func(_ *mutant, c *model.Call) { c.Others = 2 })},
	{"refused below the limit", "quota", on(func(m *mutant, c *model.Call) bool {
		return c.Op == model.OpCreate && c.Outcome == model.OK && c.Variant == "" && !m.any(func(x *model.Call) bool { return x.Op == model.OpCreate && x.ID < c.ID })
	}, func(_ *mutant, c *model.Call) {
		answer(c, 429, `{"statusCode":429,"error":"x","message":"m","code":"resource_exhausted"}`)
	})},
	{"another box", "true-bodies", on(func(_ *mutant, c *model.Call) bool { return c.Op == model.OpGet && c.Outcome == model.OK },
		func(_ *mutant, c *model.Call) { c.Boxes[0].ID = "BoxOfNobody1" })},
	{"another name", "true-bodies", on(func(m *mutant, c *model.Call) bool {
		return c.Op == model.OpGet && c.Outcome == model.OK && m.there(c, c.Box)
	},
		func(_ *mutant, c *model.Call) { c.Boxes[0].Name = "nobody" })},
	{"one box twice", "true-bodies", on(func(_ *mutant, c *model.Call) bool { return c.Op == model.OpList && len(c.Boxes) > 0 },
		func(_ *mutant, c *model.Call) { c.Boxes = append(c.Boxes, c.Boxes[0]) })},
	{"made at another time", "true-bodies", on(func(_ *mutant, c *model.Call) bool { return c.Op == model.OpGet && c.Outcome == model.OK },
		func(_ *mutant, c *model.Call) { c.Boxes[0].Created = "2001-01-01T00:00:00Z" })},
	{"an exec not counted", "counters", on(func(m *mutant, c *model.Call) bool {
		return c.Op == model.OpMetrics && c.Counters["total_commands_executed"] > 0
	}, func(_ *mutant, c *model.Call) { c.Counters["total_commands_executed"] += 1000 })},
	{"too many run", "counters", on(func(_ *mutant, c *model.Call) bool { return c.Op == model.OpMetrics && c.Variant == "org" },
		func(_ *mutant, c *model.Call) { c.Counters["num_running_boxes"] += 9 })},
}
