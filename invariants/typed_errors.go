package invariants

import (
	"fmt"
	"slices"

	"chaos/model"
)

type typedErrors struct{}

var _ = register(typedErrors{})

func (typedErrors) Name() string { return "typed-errors" }

func (typedErrors) Promise() string {
	return "A caller's mistake and a known state of a box are answered with a typed 4xx, never with a server error."
}

func (typedErrors) Source() string {
	return "BoxLite error code table (src/shared/src/errors.rs); #684, #1472"
}

func (typedErrors) Check(f *Facts) []Finding {
	var out []Finding
	for i := range f.Calls {
		c := &f.Calls[i]
		if c.Status < 500 || c.Op == model.OpProbe {
			continue // probes are the matter of access and tenant-isolation
		}
		allowed, _, ok := f.Contract.Allowed(c.Op, c.Variant, f.During(c))
		if ok && slices.Contains(allowed, c.Status) {
			continue
		}
		what := "a server error"
		if model.TypedLeak(c.Status, c.Body) {
			what = "a server error around an error that has a 4xx of its own"
		}
		out = append(out, Finding{Call: c, Detail: fmt.Sprint(c.Status),
			Message: fmt.Sprintf("%s was answered with %s: %s", label(c), what, short(c.Body)),
			Allowed: statuses(allowed), Got: fmt.Sprintf("%d %s", c.Status, model.StatusText(c.Status))})
	}
	return out
}

// short is the beginning of a body, for messages.
func short(body string) string {
	if len(body) > 200 {
		return body[:200] + "…"
	}
	return body
}

// tail is a body as it ends a message, "" if there is none.
func tail(body string) string {
	if body == "" {
		return ""
	}
	return ": " + short(body)
}

// statuses prints a set of allowed statuses.
func statuses(list []int) string {
	if len(list) == 0 {
		return "any 2xx or 4xx"
	}
	s := fmt.Sprint(list[0])
	for _, x := range list[1:] {
		s += fmt.Sprintf(" or %d", x)
	}
	return s
}
