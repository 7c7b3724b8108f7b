package invariants

import (
	"fmt"
	"slices"
	"strings"

	"chaos/model"
)

type allowedAnswers struct{}

var _ = register(allowedAnswers{})

func (allowedAnswers) Name() string { return "allowed-answers" }

func (allowedAnswers) Promise() string {
	return "Every request is answered with a status that the contract allows for what the box could have been in."
}

func (allowedAnswers) Source() string {
	return "BoxLite operation × state table and OpenAPI specification"
}

func (allowedAnswers) Check(f *Facts) []Finding {
	var out []Finding
	for i := range f.Calls {
		c := &f.Calls[i]
		if c.Outcome == model.Unknown || c.Status >= 500 {
			continue // no answer breaks no rule of answers; 5xx are the matter of typed-errors
		}
		if c.Op == model.OpProbe {
			continue // the matter of access and tenant-isolation
		}
		could := f.During(c)
		allowed, sources, ok := f.Contract.Allowed(c.Op, c.Variant, could)
		if !ok || slices.Contains(allowed, c.Status) {
			continue
		}
		detail := fmt.Sprint(c.Status)
		if c.Variant != "" {
			detail = c.Variant + " " + detail
		}
		out = append(out, Finding{Call: c, Detail: detail,
			Message: fmt.Sprintf("%s was answered with %d while the box was %s (%s)%s", label(c), c.Status, could, strings.Join(sources, "; "), tail(c.Body)),
			Allowed: statuses(allowed), Got: fmt.Sprintf("%d %s", c.Status, model.StatusText(c.Status))})
	}
	return out
}
