package invariants

import (
	"fmt"

	"chaos/model"
)

type listTruth struct{}

var _ = register(listTruth{})

func (listTruth) Name() string { return "list-truth" }

func (listTruth) Promise() string {
	return "The list shows every box that exists, with a true status, and none that was removed."
}

func (listTruth) Source() string { return "BoxLite OpenAPI GET /boxes; test_box_management" }

func (listTruth) Check(f *Facts) []Finding {
	var out []Finding
	for _, ref := range f.BoxRefs() {
		for _, bad := range f.contradictions(ref) {
			if bad.Call.Op != model.OpList {
				continue
			}
			got := "lacks it"
			for _, b := range bad.Call.Boxes {
				if b.Ref == ref {
					got = "shows it as " + b.Status
				}
			}
			out = append(out, Finding{Call: bad.Call, State: name(bad.Could), Detail: got,
				Message: fmt.Sprintf("%s %s: %s, which was %s", label(bad.Call), got, ref, bad.Could), Allowed: fmt.Sprint(bad.Could.Shows()), Got: got})
		}
	}
	return out
}
