package model

import (
	"fmt"
	"strings"
	"time"
)

// Payload is what an exec runs: a shell script that writes numbered lines. Each line carries the
// exec's token, the stream, its index and a running hash, so loss, truncation, duplication,
// reordering and bytes of another exec are told apart from the bytes alone. The script needs only
// the sh, awk, stty and sleep of a busybox image.
type Payload struct {
	Token  string        `json:"token"`            // unique in the whole run
	Stdout int           `json:"stdout,omitempty"` // numbered lines on stdout
	Stderr int           `json:"stderr,omitempty"` // numbered lines on stderr
	Exit   int           `json:"exit,omitempty"`   // exit code
	Sleep  time.Duration `json:"sleep,omitempty"`  // pause after half of the lines
	Dir    string        `json:"dir,omitempty"`    // working directory asked for; the script prints where it is
	Env    bool          `json:"env,omitempty"`    // environment variables are asked for; the script prints all that execs ask for
	Write  string        `json:"write,omitempty"`  // one of Files that the script writes
	Read   string        `json:"read,omitempty"`   // one of Files that the script tells the content of, and which children it sees
	Child  bool          `json:"child,omitempty"`  // leaves a child behind that keeps the streams open
	TTY    bool          `json:"tty,omitempty"`
	Watch  time.Duration `json:"watch,omitempty"`  // prints the terminal size and each change of it for this long
	Binary string        `json:"binary,omitempty"` // run this program instead of the script
	// Timeout is the time limit asked for; 0 = none.
	Timeout time.Duration `json:"timeout,omitempty"`
	Deaf    bool          `json:"deaf,omitempty"` // ignores SIGTERM, and so do its children
}

// Stdout and Stderr as frames and lines name them.
const (
	Out byte = 'o'
	Err byte = 'e'
)

// watchTick is how often a watching exec looks at the size of its terminal.
const watchTick = 20 * time.Millisecond

const hashMod = 999983

func nextHash(h, i int) int { return (h*31 + i*7) % hashMod }

func (p Payload) seed(stream byte) int {
	h := int(stream)
	for i := range len(p.Token) {
		h = nextHash(h, int(p.Token[i]))
	}
	return h
}

// WroteLine reports whether the exec with token writes numbered line index with this hash.
func WroteLine(token string, stream byte, index, hash int) bool {
	h := Payload{Token: token}.seed(stream)
	for i := 1; i <= index; i++ {
		h = nextHash(h, i)
	}
	return h == hash
}

// line returns numbered line i (from 1) with the running hash h.
func (p Payload) line(stream byte, i, h int) string {
	return fmt.Sprintf("%s %c %06d %06d", p.Token, stream, i, h)
}

// lines returns numbered lines from..to of stream, given the hash before from, and the hash after.
func (p Payload) lines(stream byte, from, to, h int) ([]string, int) {
	out := make([]string, 0, max(0, to-from+1))
	for i := from; i <= to; i++ {
		h = nextHash(h, i)
		out = append(out, p.line(stream, i, h))
	}
	return out, h
}

// Count returns how many numbered lines stream gets.
func (p Payload) Count(stream byte) int {
	if stream == Err {
		return p.Stderr
	}
	return p.Stdout
}

// Expected returns the bytes that stream ("o" or "e") must carry when the exec runs undisturbed,
// without the lines about the terminal size. A terminal merges stderr into stdout in an order that
// is not defined; payloads with TTY therefore have Stderr 0.
func (p Payload) Expected(stream byte) []byte { return p.ExpectedTelling(stream, nil) }

// ExpectedTelling is Expected for an exec that told told about its box.
func (p Payload) ExpectedTelling(stream byte, told Told) []byte {
	if p.Binary != "" {
		return nil
	}
	var b strings.Builder
	eol := "\n"
	if p.TTY {
		eol = "\r\n"
	}
	if stream == Out {
		for _, l := range p.header(told) {
			b.WriteString(l + eol)
		}
	}
	h := p.seed(stream)
	for i := 1; i <= p.Count(stream); i++ {
		h = nextHash(h, i)
		fmt.Fprintf(&b, "%s %c %06d %06d%s", p.Token, stream, i, h, eol)
	}
	return []byte(b.String())
}

func (p Payload) header(told Told) []string {
	var out []string
	if p.Dir != "" {
		out = append(out, p.Token+" dir "+p.Dir)
	}
	return append(out, p.tellLines(told)...)
}

// SizePrefix starts a line that a watching exec prints when its terminal has a (new) size, followed
// by rows and columns.
func (p Payload) SizePrefix() string { return p.Token + " size " }

// LastPrefix starts the line with the size a watching exec sees last.
func (p Payload) LastPrefix() string { return p.Token + " last " }

// Duration is how long the exec takes by itself, leaving out the time the machine needs.
func (p Payload) Duration() time.Duration { return p.Sleep + p.Watch }

// Argv returns the program and its arguments.
func (p Payload) Argv() []string {
	if p.Binary != "" {
		return []string{p.Binary}
	}
	return []string{"sh", "-c", p.script()}
}

func (p Payload) script() string {
	var b strings.Builder
	if p.Deaf {
		b.WriteString("trap '' TERM\n")
	}
	if p.Child {
		fmt.Fprintf(&b, "%s=%s sleep 60 &\n", childVar, p.Token)
	}
	if p.Dir != "" {
		fmt.Fprintf(&b, "echo \"%s dir $(pwd)\"\n", p.Token)
	}
	b.WriteString(p.tellScript())
	if p.Watch > 0 {
		fmt.Fprintf(&b, "n=%d; p=\nwhile [ $n -gt 0 ]; do s=$(stty size); [ \"$s\" = \"$p\" ] || echo \"%s$s\"; p=$s; n=$((n-1)); sleep %.2f; done\necho \"%s$(stty size)\"\n",
			p.looks(), p.SizePrefix(), watchTick.Seconds(), p.LastPrefix())
	}
	ho, he := p.seed(Out), p.seed(Err)
	if p.Sleep > 0 {
		ho, he = p.emit(&b, 1, p.Stdout/2, 1, p.Stderr/2, ho, he)
		fmt.Fprintf(&b, "sleep %.3f\n", p.Sleep.Seconds())
		p.emit(&b, p.Stdout/2+1, p.Stdout, p.Stderr/2+1, p.Stderr, ho, he)
	} else {
		p.emit(&b, 1, p.Stdout, 1, p.Stderr, ho, he)
	}
	fmt.Fprintf(&b, "exit %d\n", p.Exit)
	return b.String()
}

// emit writes commands that print the given ranges of both streams, side by side when both are long.
func (p Payload) emit(b *strings.Builder, of, ot, ef, et, ho, he int) (int, int) {
	outCmd, ho := p.emitOne(Out, of, ot, ho)
	errCmd, he := p.emitOne(Err, ef, et, he)
	switch {
	case outCmd != "" && errCmd != "":
		fmt.Fprintf(b, "%s &\nw=$!\n%s >&2\nwait $w\n", outCmd, errCmd)
	case outCmd != "":
		b.WriteString(outCmd + "\n")
	case errCmd != "":
		b.WriteString(errCmd + " >&2\n")
	}
	return ho, he
}

// inline is up to how many lines the shell prints by itself. Longer output comes from awk; the
// short form is what bugs at the exit of a fast command need.
const inline = 8

func (p Payload) emitOne(stream byte, from, to, h int) (string, int) {
	if to < from {
		return "", h
	}
	lines, after := p.lines(stream, from, to, h)
	if len(lines) <= inline {
		return "printf '%s\\n' '" + strings.Join(lines, "' '") + "'", after
	}
	return fmt.Sprintf(`awk 'BEGIN{h=%d;for(i=%d;i<=%d;i++){h=(h*31+i*7)%%%d;printf "%s %c %%06d %%06d\n",i,h}}'`,
		h, from, to, hashMod, p.Token, stream), after
}
