package model

import (
	"bytes"
	"fmt"
	"strconv"
)

// In and Report are the streams about input as lines name them: what the client sends, and what the
// exec tells of it.
const (
	In     byte = 'i'
	Report byte = 'r'
)

// Input returns what the client of the exec sends before the end of the input: Stdin numbered lines.
func (p Payload) Input() []byte {
	return p.appendLines(nil, In, p.Stdin, "\n")
}

// readScript reads standard input to its end. It repeats each line behind one of its own, which
// carries its own count and hash: so what was lost on the way in is told apart from what was lost on
// the way out.
func (p Payload) readScript() string {
	return fmt.Sprintf(`awk 'BEGIN{h=%d}{h=(h*31+NR*7)%%%d;printf "%s %c %%06d %%06d %%s\n",NR,h,$0}END{printf "%s%%d\n",NR}'`,
		p.seed(Report), hashMod, p.Token, Report, p.endPrefix())
}

// endPrefix starts the line that tells how many lines the exec has read when its input was over.
func (p Payload) endPrefix() string { return p.Token + " input " }

// appendReport appends what the exec tells of n lines of input; with the lines themselves if whole.
func (p Payload) appendReport(b []byte, n int, whole bool) []byte {
	h, in := p.seed(Report), p.seed(In)
	for i := 1; i <= n; i++ {
		h, in = nextHash(h, i), nextHash(in, i)
		b = p.appendLine(b, Report, i, h)
		if whole {
			b = p.appendLine(append(b, ' '), In, i, in)
		}
		b = append(b, '\n')
	}
	return fmt.Appendf(b, "%s%d\n", p.endPrefix(), n)
}

// ReadBack is the output of an exec with Stdin, taken apart.
type ReadBack struct {
	Rest  []byte // the output without what the exec repeats of its input
	Input []byte // what it read, without the newline of the last line
	Lines int    // how many lines of the report follow each other without a gap
	Told  int    // how many lines it read before its input ended, as it says; -1 = it has not said so
}

// ReadBack takes out, which is or should be Expected(Out), apart. Damage done to the report on its
// way out ends Input; it shows in Rest.
func (p Payload) ReadBack(out []byte) ReadBack {
	r := ReadBack{Told: -1}
	prefix := fmt.Appendf(nil, "%s %c ", p.Token, Report)
	h, gap, last := p.seed(Report), false, 0
	for line := range bytes.SplitAfterSeq(out, []byte("\n")) {
		text := bytes.TrimSuffix(line, []byte("\n"))
		if told, ok := bytes.CutPrefix(line, []byte(p.endPrefix())); ok && bytes.HasSuffix(told, []byte("\n")) {
			if n, err := strconv.Atoi(string(bytes.TrimSuffix(told, []byte("\n")))); err == nil {
				r.Told = n
				gap = gap || n != r.Lines
			}
		}
		own := len(prefix) + len("000000 000000")
		if !bytes.HasPrefix(line, prefix) || len(text) < own || !p.wroteReport(text[len(prefix):own]) {
			r.Rest = append(r.Rest, line...)
			continue
		}
		r.Rest = append(append(r.Rest, text[:own]...), line[len(text):]...)
		next := nextHash(h, r.Lines+1)
		if gap || !bytes.Equal(text[:own], p.appendLine(nil, Report, r.Lines+1, next)) {
			gap = true
			continue
		}
		r.Lines, h = r.Lines+1, next
		if r.Lines > 1 {
			last = len(r.Input)
			r.Input = append(r.Input, '\n')
		}
		r.Input = append(r.Input, bytes.TrimPrefix(text[own:], []byte(" "))...)
	}
	if gap {
		r.Input = r.Input[:last] // the line before the gap may have lost its end
	}
	return r
}

// wroteReport reports whether fields is an index and the hash that belongs to it.
func (p Payload) wroteReport(fields []byte) bool {
	i, err := strconv.Atoi(string(fields[:6]))
	h, err2 := strconv.Atoi(string(fields[7:]))
	return err == nil && err2 == nil && fields[6] == ' ' && WroteLine(p.Token, Report, i, h)
}

// ExpectedAfter is ExpectedTelling of stdout for an exec that has read lines lines, without the lines
// themselves: what Rest must be.
func (p Payload) ExpectedAfter(lines int, told Told) []byte {
	return p.appendReport(p.expectedLines(Out, told), lines, false)
}
