package corpus

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"chaos/model"
	"chaos/model/plantext"
)

// excerptMark begins the lines about the first failing run.
const excerptMark = "# |"

// Limits of what a case file may ask for. A plan is performed within a minute and is read by people,
// so a file beyond them is a mistake, or somebody's trap.
const (
	MaxSize  = 1 << 20 // bytes of a file
	MaxSteps = 1000
	MaxGap   = time.Minute
)

// Error is a place in a case file that cannot be read, and how to mend it. Line and Col count from 1;
// Line is 0 when the file as a whole cannot be read.
type Error struct {
	File      string
	Line, Col int
	Text      string
	Err       error // what the system said, nil if it is not the cause
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Text)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Col, e.Text)
}

func (e *Error) Unwrap() error { return e.Err }

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
		return nil, &Error{File: file, Line: at.Line, Col: at.Col, Text: at.Text}
	case err != nil:
		return nil, p.fail(1, 1, "%v", err)
	case len(plan.Steps) == 0:
		return nil, p.fail(len(lines), 1, "the plan has no steps")
	}
	if err := p.bounds(lines, plan); err != nil {
		return nil, err
	}
	p.c.Plan = plan
	return p.c.tidy(), nil
}

// bounds rejects plans that nobody would wait for.
func (p *parser) bounds(lines []string, plan model.Plan) error {
	step := 0
	for i, raw := range lines {
		body := strings.TrimSpace(raw)
		if body == "" || body[0] == '#' || body == "together" {
			continue
		}
		switch gap := plan.Steps[step].Gap; {
		case step == MaxSteps:
			return p.fail(i+1, 1, "the plan has %d steps; at most %d are performed", len(plan.Steps), MaxSteps)
		case gap > MaxGap:
			return p.fail(i+1, max(0, strings.Index(raw, "gap="))+1, "gap=%s is longer than %s; nobody waits for that", gap, MaxGap)
		}
		step++
	}
	return nil
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
	return &Error{File: p.file, Line: line, Col: col, Text: fmt.Sprintf(format, args...)}
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
