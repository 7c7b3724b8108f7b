// Package plantext is the text form of plans: one step a line, in the order of the story, as an
// engineer reads it in a pull request.
//
//	a: b1 = create
//	together
//	  a: e1 = exec b1 stdout=200
//	  b: stop b1 gap=3ms
//	b: list after=e1
//
// Print and Parse are inverse to each other: a plan that passes model.Plan.Check and is normalized
// prints to text that parses to the same plan, and text that Print wrote prints back byte for byte.
// Empty lines and lines that start with # are comments.
package plantext

import (
	"fmt"
	"strings"
	"time"

	"chaos/model"
)

// Print returns p as text. Groups are written as together blocks.
func Print(p model.Plan) string {
	var b strings.Builder
	p = p.Normalize()
	group := 0
	for _, s := range p.Steps {
		if s.Group != group && s.Group != 0 {
			b.WriteString("together\n")
		}
		group = s.Group
		if s.Group != 0 {
			b.WriteString("  ")
		}
		b.WriteString(Line(s))
		b.WriteByte('\n')
	}
	return b.String()
}

// Line returns s as one line of text, without its group.
func Line(s model.Step) string {
	var b strings.Builder
	b.WriteString(s.Client + ": ")
	if s.Bind != "" {
		b.WriteString(string(s.Bind) + " = ")
	}
	b.WriteString(s.Action)
	if s.On != "" {
		b.WriteString(" " + string(s.On))
	}
	for _, a := range s.Args {
		b.WriteString(" " + a.Key + "=" + a.Value)
	}
	if s.After != "" {
		b.WriteString(" after=" + string(s.After))
	}
	if s.Gap > 0 {
		b.WriteString(" gap=" + s.Gap.String())
	}
	return b.String()
}

// Error is a place in the text that cannot be read, and how to mend it. Line and Col count from 1.
type Error struct {
	Line, Col int
	Text      string
}

func (e *Error) Error() string { return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Col, e.Text) }

// Parse reads text. With a vocabulary, unknown actions and arguments are errors too; without one
// only the form is checked. The plan it returns passes model.Plan.Check and is normalized.
func Parse(text string, vocab model.Vocabulary) (model.Plan, error) {
	var p model.Plan
	var lines []int // line number of each step
	group, open := 0, false
	for n, raw := range strings.Split(text, "\n") {
		raw = strings.TrimRight(raw, " \t\r")
		body := strings.TrimLeft(raw, " \t")
		indent := len(raw) - len(body)
		switch {
		case body == "" || body[0] == '#':
			continue
		case body == "together" && indent == 0:
			group, open = group+1, true
			continue
		case indent == 0:
			open = false
		case !open:
			return p, &Error{n + 1, 1, "this line is indented but no \"together\" line stands before it; unindent it or add one"}
		}
		lp := lineParser{line: n + 1, text: raw, pos: indent, vocab: vocab}
		s, err := lp.step()
		if err != nil {
			return p, err
		}
		if open {
			s.Group = group
		}
		p.Steps = append(p.Steps, s)
		lines = append(lines, n+1)
	}
	if pr := p.Check(); pr != nil {
		return p, &Error{lines[pr.Step], 1, pr.Text}
	}
	return p.Normalize(), nil
}

type lineParser struct {
	line, pos int
	text      string
	vocab     model.Vocabulary
}

func (l *lineParser) fail(col int, format string, args ...any) error {
	return &Error{l.line, col + 1, fmt.Sprintf(format, args...)}
}

// word returns the next word and its column.
func (l *lineParser) word() (string, int) {
	for l.pos < len(l.text) && (l.text[l.pos] == ' ' || l.text[l.pos] == '\t') {
		l.pos++
	}
	at := l.pos
	for l.pos < len(l.text) && l.text[l.pos] != ' ' && l.text[l.pos] != '\t' {
		l.pos++
	}
	return l.text[at:l.pos], at
}

func (l *lineParser) step() (model.Step, error) {
	var s model.Step
	w, at := l.word()
	client, ok := strings.CutSuffix(w, ":")
	if !ok || len(client) != 1 || client[0] < 'a' || client[0] > 'z' {
		return s, l.fail(at, "%q is not a client; a step begins with one letter and a colon, like \"a:\"", w)
	}
	s.Client = client
	w, at = l.word()
	if r := model.Ref(w); r.Valid() {
		eq, eqAt := l.word()
		if eq != "=" {
			return s, l.fail(eqAt, "want \"=\" after %s, as in \"%s = create\"", w, w)
		}
		s.Bind = r
		w, at = l.word()
	}
	if w == "" {
		return s, l.fail(at, "no action on this line; known actions: %s", l.known())
	}
	s.Action = w
	spec, err := l.spec(w, at)
	if err != nil {
		return s, err
	}
	if err := l.rest(&s, spec); err != nil {
		return s, err
	}
	return s, l.fits(s, spec, at)
}

func (l *lineParser) known() string {
	if l.vocab == nil {
		return "not known here"
	}
	return strings.Join(l.vocab.Names(), " ")
}

func (l *lineParser) spec(action string, at int) (*model.Spec, error) {
	if strings.Contains(action, "=") {
		return nil, l.fail(at, "%q stands where the action belongs; known actions: %s", action, l.known())
	}
	if l.vocab == nil {
		return nil, nil
	}
	spec, ok := l.vocab.Lookup(action)
	if !ok {
		return nil, l.fail(at, "no action is called %q; known actions: %s", action, l.known())
	}
	return spec, nil
}

// rest reads what follows the action: at most one ref, then arguments.
func (l *lineParser) rest(s *model.Step, spec *model.Spec) error {
	for {
		w, at := l.word()
		if w == "" {
			return nil
		}
		key, value, isArg := strings.Cut(w, "=")
		switch {
		case !isArg && s.On == "" && len(s.Args) == 0 && model.Ref(w).Valid():
			s.On = model.Ref(w)
		case !isArg:
			return l.fail(at, "%q is neither a name like b1 or e2 in its place nor a key=value", w)
		case key == "" || value == "":
			return l.fail(at, "%q needs a key and a value, like gap=3ms", w)
		case key == "after":
			if !model.Ref(value).Valid() {
				return l.fail(at, "after=%s does not name a box or an exec, like after=e1", value)
			}
			s.After = model.Ref(value)
		case key == "gap":
			d, err := time.ParseDuration(value)
			if err != nil || d <= 0 {
				return l.fail(at, "gap=%s is not a positive duration, like gap=3ms", value)
			}
			s.Gap = d
		default:
			if err := l.arg(s, spec, key, value, at); err != nil {
				return err
			}
		}
	}
}

func (l *lineParser) arg(s *model.Step, spec *model.Spec, key, value string, at int) error {
	if s.Args.Has(key) {
		return l.fail(at, "%s is given twice", key)
	}
	if spec != nil {
		as, ok := spec.Arg(key)
		if !ok {
			var names []string
			for _, a := range spec.Args {
				names = append(names, a.Name)
			}
			names = append(names, "after", "gap")
			for _, a := range model.ScheduleArgs() {
				names = append(names, a.Name)
			}
			return l.fail(at, "%s takes no argument %q; it takes: %s", spec.Name, key, strings.Join(names, " "))
		}
		if as.Check != nil {
			if err := as.Check(value); err != nil {
				return l.fail(at, "%s=%s: %v", key, value, err)
			}
		}
	}
	s.Args = s.Args.With(key, value)
	return nil
}

// fits checks that the step binds and acts on what its action says.
func (l *lineParser) fits(s model.Step, spec *model.Spec, at int) error {
	if spec == nil {
		return nil
	}
	kind := map[byte]string{'b': "a box, like b1", 'e': "an exec, like e1"}
	if spec.Binds != 0 && (s.Bind == "" || s.Bind[0] != spec.Binds) {
		return l.fail(at, "%s makes %s: write \"%c1 = %s\"", spec.Name, kind[spec.Binds], spec.Binds, spec.Name)
	}
	if spec.Binds == 0 && s.Bind != "" {
		return l.fail(at, "%s makes nothing that %s could name", spec.Name, s.Bind)
	}
	if spec.On != 0 && (s.On == "" || s.On[0] != spec.On) {
		return l.fail(at, "%s acts on %s", spec.Name, kind[spec.On])
	}
	if spec.On == 0 && s.On != "" {
		return l.fail(at, "%s acts on nothing, so %s has no place here", spec.Name, s.On)
	}
	return nil
}
