package invariants

import (
	"fmt"
	"slices"
	"strings"

	"chaos/model"
)

type errorShape struct{}

var _ = register(errorShape{})

func (errorShape) Name() string { return "error-shape" }

func (errorShape) Promise() string {
	return "An error's body has one of the documented shapes, and the status and code in it agree with the answer's status."
}

func (errorShape) Source() string { return "BoxLite OpenAPI ErrorModel; #1311" }

func (errorShape) Check(f *Facts) []Finding {
	var out []Finding
	for i := range f.Calls {
		c := &f.Calls[i]
		if c.Outcome != model.Rejected {
			continue
		}
		if wrong := shapeProblem(c, f.Contract.Shapes()); wrong != "" {
			out = append(out, Finding{Call: c, State: noState, Detail: wrong,
				Message: fmt.Sprintf("%s was refused with %d and a body with a problem (%s): %s", label(c), c.Status, wrong, short(c.Body)),
				Allowed: shapeNames(f.Contract.Shapes()) + " shape; codes of the table", Got: short(c.Body)})
		}
	}
	return out
}

// shapeNames is "a, b or c".
func shapeNames(shapes []model.ErrorShape) string {
	var out []string
	for _, s := range shapes {
		out = append(out, string(s))
	}
	last := len(out) - 1
	if last < 1 {
		return strings.Join(out, "")
	}
	return strings.Join(out[:last], ", ") + " or " + out[last]
}

// shapeProblem says what is wrong with the body of a refusal, "" if nothing. It should have one of
// the shapes.
func shapeProblem(c *model.Call, shapes []model.ErrorShape) string {
	body := model.ParseError(c.Body)
	switch {
	case body.Shape == model.ShapeText && clipped(c):
		return ""
	case body.Shape == model.ShapeEmpty && (c.Op == model.OpAttach || c.Route == "attach") && c.Status < 500 && slices.Contains(shapes, model.ShapeFlat):
		return "" // the API refuses upgrades with an empty body
	case body.Shape == model.ShapeEmpty && c.Route == "head":
		return "" // an answer to HEAD has none
	case body.Shape == model.ShapeEmpty:
		return "empty body"
	case body.Shape == model.ShapeText:
		return "plain text"
	case !slices.Contains(shapes, body.Shape):
		return string(body.Shape) + " shape"
	case body.Message == "":
		return "no message"
	case body.Status != 0 && body.Status != c.Status:
		return fmt.Sprintf("status %d says %d", c.Status, body.Status)
	case body.Code != "" && !model.CodeFits(body.Code, c.Status):
		return fmt.Sprintf("status %d with code %s", c.Status, body.Code)
	}
	return ""
}

// clipped reports whether the body may be only the beginning of what came: histories keep so much of
// an answer, and of a refused attach the library hands out a kilobyte.
func clipped(c *model.Call) bool {
	return len(c.Body) >= model.MaxBody || (c.Op == model.OpAttach || c.Route == "attach") && len(c.Body) >= 1024
}
