package corpus

import (
	"errors"
	"fmt"
	"strings"

	"chaos/model"
	"chaos/model/plantext"
)

// excerptMark begins the lines about the first failing run.
const excerptMark = "# |"

// Error is a place in a case file that cannot be read, and how to mend it. Line and Col count from 1.
type Error struct {
	File      string
	Line, Col int
	Text      string
}

func (e *Error) Error() string { return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Col, e.Text) }

// Parse reads the text of a case; file stands in errors, which are all of type *Error. With a
// vocabulary, unknown actions and arguments are errors too. The name of the case is left empty.
func Parse(file string, data []byte, vocab model.Vocabulary) (*Case, error) {
	p := parser{file: file, c: &Case{}, seen: map[string]bool{}}
	lines := strings.Split(string(data), "\n")
	for i, raw := range lines {
		if err := p.line(i+1, strings.TrimRight(raw, " \t\r")); err != nil {
			return nil, err
		}
	}
	if p.part == header {
		return nil, p.fail(len(lines), 1, "the plan is missing; it follows the header after an empty line")
	}
	if !p.seen["signature"] {
		return nil, p.fail(2, 1, "the header has no signature; add a line like \"# signature: no-5xx · stop · - · 500\"")
	}
	plan, err := plantext.Parse(string(data), vocab)
	var at *plantext.Error
	switch {
	case errors.As(err, &at):
		return nil, &Error{file, at.Line, at.Col, at.Text}
	case err != nil:
		return nil, p.fail(1, 1, "%v", err)
	case len(plan.Steps) == 0:
		return nil, p.fail(len(lines), 1, "the plan has no steps")
	}
	p.c.Plan = plan
	return p.c.tidy(), nil
}

type part int

const (
	top part = iota
	header
	plan
	excerpt
)

type parser struct {
	file string
	c    *Case
	part part
	seen map[string]bool
}

func (p *parser) fail(line, col int, format string, args ...any) error {
	return &Error{p.file, line, col, fmt.Sprintf(format, args...)}
}

// line reads everything but the steps, which package plantext reads: it skips what begins with #.
func (p *parser) line(n int, text string) error {
	if p.part == top {
		p.part = header
		return p.version(n, text)
	}
	comment := strings.HasPrefix(strings.TrimLeft(text, " \t"), "#")
	marked := text == excerptMark || strings.HasPrefix(text, excerptMark+" ")
	switch {
	case text == "":
		if p.part == header {
			p.part = plan
		}
	case marked && p.part != header:
		p.part = excerpt
		p.c.Excerpt = append(p.c.Excerpt, strings.TrimPrefix(strings.TrimPrefix(text, excerptMark), " "))
	case p.part == header && comment:
		return p.header(n, text)
	case p.part == header:
		return p.fail(n, 1, "an empty line must stand between the header and the plan")
	case comment:
		return p.fail(n, 1, "comments between steps are not kept; say it in the header, like \"# note: …\"")
	case p.part == excerpt:
		return p.fail(n, 1, "steps must stand above the lines that begin with %q", excerptMark)
	}
	return nil
}

func (p *parser) version(n int, text string) error {
	if text == firstLine {
		return nil
	}
	if v, ok := strings.CutPrefix(text, "# chaos case "); ok {
		return p.fail(n, len("# chaos case ")+1, "this is form %q of a case; only form 1 is known here, so a newer chaos is needed", v)
	}
	return p.fail(n, 1, "not a case: the first line must be %q", firstLine)
}

func (p *parser) header(n int, text string) error {
	key, value, ok := strings.Cut(strings.TrimPrefix(text, "# "), ":")
	if !ok || !strings.HasPrefix(text, "# ") || !keyForm.MatchString(key) {
		return p.fail(n, 1, "want a header line like \"# found: 2026-03-02\", or an empty line before the plan")
	}
	value = oneLine(value)
	f, known := knownField(key)
	if !known {
		p.c.Extra = append(p.c.Extra, Header{key, value})
		return nil
	}
	if p.seen[key] {
		return p.fail(n, 1, "%s is given twice", key)
	}
	p.seen[key] = true
	if err := f.set(p.c, value); err != nil {
		return p.fail(n, strings.Index(text, ":")+3, "%v", err)
	}
	return nil
}
