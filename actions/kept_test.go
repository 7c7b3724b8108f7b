package actions_test

import "chaos/model"

// What concerns files and restarts in the table of requests.
func init() {
	add := func(plan string, want, ops []string) {
		golden = append(golden, struct {
			plan string
			want []string
			ops  []string
		}{plan, want, ops})
	}
	whole := []string{"exec", "attach", "info"}
	const home = `,"working_dir":"/root"`
	add("a: b1 = create\na: e1 = exec b1 write=f1", attached(execBody(model.Payload{Token: "t-1.e1", Write: "f1"}, home)), whole)
	add("a: b1 = create\na: e1 = exec b1 cwd=usr read=f2", attached(execBody(model.Payload{Token: "t-1.e1", Read: "f2"}, home)), whole)
	add("a: b1 = create\na: e1 = exec b1 cwd=etc", attached(execBody(model.Payload{Token: "t-1.e1", Dir: "/etc"}, `,"working_dir":"/etc"`)), whole)
	add("a: b1 = create\na: e1 = exec b1 attach=no cwd=bad write=f1",
		[]string{"POST /v1/boxes/BOX1/exec " + execBody(model.Payload{Token: "t-1.e1", Write: "f1", Dir: "/chaos/no/such/directory"}, `,"working_dir":"/chaos/no/such/directory"`)}, []string{"exec bad-dir"})
	add("a: b1 = create\na: restart b1", []string{"POST /v1/boxes/BOX1/stop", "GET /v1/boxes/BOX1", "POST /v1/boxes/BOX1/start"}, []string{"stop", "get", "start"})
}
