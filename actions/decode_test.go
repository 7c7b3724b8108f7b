package actions

import (
	"encoding/json"
	"testing"

	"chaos/model"
)

func FuzzDecode(f *testing.F) {
	for _, body := range []string{"", "null", "{}", `{"box_id":"b","status":"running","cpus":"2","memory_mib":1e99}`, `{"boxes":[{"box_id":"b","name":"t-b1"},{"name":"u"}]}`,
		`{"boxes":null}`, `{"execution_id":"e","status":"completed","exit_code":-1}`, `{"boxes_total":3,"x":{"y":1}}`, `{"box_id":7}`, "<html>"} {
		f.Add(body)
	}
	ops := []string{model.OpCreate, model.OpGet, model.OpStart, model.OpStop, model.OpList, model.OpProbe, model.OpExec, model.OpInfo, model.OpMetrics}
	f.Fuzz(func(t *testing.T, body string) {
		for _, op := range ops {
			env := &Env{Refs: NewRefs(model.Plan{}, "t")}
			c := &model.Call{Op: op, Route: "list"}
			env.decode(c, []byte(body))
			if c.Garbled == "" && !json.Valid([]byte(body)) && op != model.OpProbe {
				t.Fatalf("%s: %q is no JSON and was taken for an answer", op, body)
			}
			for _, b := range c.Boxes {
				if op == model.OpList && len(b.Name) < 2 {
					t.Fatalf("box %q of %q was taken for ours", b.Name, body)
				}
			}
		}
	})
}
