package invariants

import (
	"fmt"
	"slices"
	"strings"

	"chaos/model"
)

type validKey struct{}

var _ = register(validKey{})

func (validKey) Name() string { return "access" }

func (validKey) Promise() string {
	return "Without a valid key every route answers 401 or 403, and the answer tells nothing about boxes."
}

func (validKey) Source() string {
	return "BoxLite OpenAPI: bearer authentication; test_errors, test_error_code_mapping (bad and missing token); POL-331"
}

// intruders names the ways to have no valid key, by the variant of the probe.
var intruders = map[string]string{"": "a wrong token", "missing": "no token", "malformed": "a malformed token"}

func (validKey) Check(f *Facts) []Finding {
	var out []Finding
	for i := range f.Calls {
		c := &f.Calls[i]
		who, bad := intruders[c.Variant]
		if c.Op != model.OpProbe || !bad || c.Outcome == model.Unknown {
			continue
		}
		if x, wrong := f.letIn(c, who); wrong {
			out = append(out, x)
		}
		if x, told := f.told(c, who); told {
			out = append(out, x)
		}
	}
	return out
}

// letIn is the finding that a probe was not turned away as the contract says. Servers may slow down
// whoever sends many bad tokens, and turn away a handshake as if nothing was there.
func (f *Facts) letIn(c *model.Call, who string) (Finding, bool) {
	allowed, sources, ok := f.Contract.Allowed(c.Op, c.Variant, model.AnyState)
	if !ok || slices.Contains(allowed, c.Status) || c.Status == 429 || c.Status == 404 && c.Route == "attach" {
		return Finding{}, false
	}
	got := fmt.Sprint(c.Status)
	if c.Status < 500 {
		got = "not turned away"
	}
	return Finding{Call: c, State: noState, Detail: route(c) + ": " + got,
		Message: fmt.Sprintf("%s with %s was answered with %d (%s)%s", label(c), who, c.Status, strings.Join(sources, "; "), tail(c.Body)),
		Allowed: statuses(allowed), Got: fmt.Sprintf("%d %s", c.Status, model.StatusText(c.Status))}, true
}

// told is the finding that the answer to a probe holds a name or id of ours that its request did not.
func (f *Facts) told(c *model.Call, who string) (Finding, bool) {
	what := f.secretIn(c)
	if what == "" {
		return Finding{}, false
	}
	return Finding{Call: c, State: noState, Detail: fmt.Sprintf("%s: tells %s", route(c), what),
		Message: fmt.Sprintf("%s with %s tells %s that was not in the request: %s", label(c), who, what, short(c.Body)),
		Allowed: "an error without names and ids", Got: what}, true
}

// secretIn names what of ours stands in the body of c, "" if nothing does.
func (f *Facts) secretIn(c *model.Call) string {
	body := c.Body
	if c.Name != "" {
		body = strings.ReplaceAll(body, c.Name, "")
	}
	if len(c.Boxes) > 0 || strings.Contains(body, f.Meta.Token+"-") || strings.Contains(body, f.Meta.Token+".") {
		return "a name"
	}
	for i := range f.Calls {
		x := &f.Calls[i]
		if x.Op == model.OpCreate && x.BoxID != "" && x.BoxID != c.BoxID && strings.Contains(body, x.BoxID) {
			return "a box id"
		}
		if x.Op == model.OpExec && x.ExecID != "" && x.ExecID != c.ExecID && strings.Contains(body, x.ExecID) {
			return "an execution id"
		}
	}
	return ""
}

// route is what a probe tried.
func route(c *model.Call) string {
	if c.Route == "" {
		return "a request"
	}
	return c.Route
}
