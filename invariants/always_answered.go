package invariants

import (
	"fmt"
	"strings"

	"chaos/model"
)

type alwaysAnswered struct{}

var _ = register(alwaysAnswered{})

func (alwaysAnswered) Name() string { return "always-answered" }

func (alwaysAnswered) Promise() string {
	return "Every request is answered while nothing of the stack is taken away from it."
}

func (alwaysAnswered) Source() string {
	return "BoxLite server wait of 30 s on create and start, 300 s limit of its client; #313, #139"
}

func (alwaysAnswered) Check(f *Facts) []Finding {
	if f.Meta.Aborted != "" {
		return nil
	}
	var out []Finding
	for i := range f.Calls {
		c := &f.Calls[i]
		if c.Outcome != model.Unknown || c.GaveUp || c.Excused != "" {
			continue
		}
		late := c.Return-c.Invoke >= int64(f.Meta.Limits.Call)
		// A connection that idled may be closed by the server at the moment it is used again; what
		// came over it says nothing. That nothing came for as long as we wait does.
		if c.Reused && !late {
			continue
		}
		detail := "connection ended"
		if late {
			detail = "no answer"
		}
		out = append(out, Finding{Call: c, State: noState, Detail: detail, Late: late,
			Message: fmt.Sprintf("%s got no answer: %s", label(c), oneLine(c.Error)), Allowed: fmt.Sprintf("an answer within %s", f.Meta.Limits.Call), Got: oneLine(c.Error)})
	}
	return out
}

// oneLine is text without line breaks, cut to what fits a report.
func oneLine(text string) string { return short(strings.Join(strings.Fields(text), " ")) }
