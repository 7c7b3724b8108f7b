package invariants

import (
	"fmt"
	"slices"
	"strings"

	"chaos/model"
)

type isolation struct{}

var _ = register(isolation{})

func (isolation) Name() string { return "isolation" }

func (isolation) Promise() string {
	return "An exec finds nothing of others: no variable that another exec asked for, and no file of another box."
}

func (isolation) Source() string {
	return "BoxLite exec semantics: the environment is per exec, merged over the box's; test_exec_comprehensive (environment isolation), test_cross_box_isolation; #71"
}

func (isolation) Check(f *Facts) []Finding {
	var out []Finding
	for _, x := range f.execs {
		out = append(out, f.environment(x)...)
		p := x.Start.Payload
		if t, ok := x.told[model.TellRead]; ok {
			if whose := f.foreignFile(x.Start.Box, t.Value); whose != "" {
				out = append(out, Finding{Call: x.Start, State: noState, Detail: "file of " + whose, Also: f.writerOf(t.Value),
					Message: fmt.Sprintf("%s found in %s what an exec of %s wrote", label(x.Start), p.Read, whose), Allowed: "only what execs of " + string(x.Start.Box) + " wrote", Got: t.Value})
			}
		}
	}
	return out
}

// environment looks at the variables that execs ask for and that x found in its own environment.
func (f *Facts) environment(x *Exec) []Finding {
	t, ok := x.told[model.TellEnv]
	if !ok {
		return nil
	}
	own := x.Start.Payload.Vars()
	found := 0
	for _, word := range t.Words() {
		name, value, _ := strings.Cut(word, "=")
		if own[name] == value {
			found++
			continue
		}
		return []Finding{{Call: x.Start, State: noState, Detail: "environment of another exec", Also: f.execOf(value),
			Message: fmt.Sprintf("%s found %s in its environment, which it had not asked for", label(x.Start), word),
			Allowed: fmt.Sprintf("%d variables with its own token", len(own)), Got: t.Value}}
	}
	if found != len(own) {
		return []Finding{{Call: x.Start, State: noState, Detail: "environment incomplete",
			Message: fmt.Sprintf("%s asked for %d variables and found %d", label(x.Start), len(own), found), Allowed: fmt.Sprintf("%d variables with its own token", len(own)), Got: t.Value}}
	}
	return nil
}

// foreignFile says whose content the value of a read is, "" if it is none of another box: the content
// of an exec on this one, damaged, or absent.
func (f *Facts) foreignFile(box model.Ref, value string) string {
	token, _, _ := strings.Cut(value, " ")
	whole := slices.ContainsFunc(model.Files, func(name string) bool { return value == model.FileValue(token, name) })
	if token == model.FileAbsent || !whole {
		return ""
	}
	for i := range f.Calls {
		if c := &f.Calls[i]; c.Payload != nil && c.Payload.Token == token {
			if c.Box == box {
				return ""
			}
			return "another box"
		}
	}
	return "another run"
}

func (f *Facts) writerOf(value string) []*model.Call {
	token, _, _ := strings.Cut(value, " ")
	return f.execOf(token)
}

// execOf returns the exec call with token, if it is in this history.
func (f *Facts) execOf(token string) []*model.Call {
	for i := range f.Calls {
		if c := &f.Calls[i]; c.Payload != nil && c.Payload.Token == token {
			return []*model.Call{c}
		}
	}
	return nil
}
