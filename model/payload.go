package model

import (
	"fmt"
	"strconv"
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
	Deaf    bool          `json:"deaf,omitempty"`  // ignores SIGTERM, and so do its children
	Stdin   int           `json:"stdin,omitempty"` // numbered lines that the client sends; the script reads to the end and tells what it read
	UTF8    bool          `json:"utf8,omitempty"`  // numbered lines end in characters of several bytes each
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

// utf8Text ends every line of an exec with UTF8: characters of two, three and four bytes, so dense
// that most chunk boundaries cut one. Shell and awk take it literally within single and double quotes.
const utf8Text = " 漢字かな交じり文한국어Привет🦊🐼ñé€"

// appendLine appends numbered line i (from 1) with the running hash h, without its end.
func (p Payload) appendLine(b []byte, stream byte, i, h int) []byte {
	b = append(append(b, p.Token...), ' ', stream, ' ')
	b = appendSix(append(appendSix(b, i), ' '), h)
	return append(b, p.lineText(stream)...)
}

// lineText is what stands behind the hash of a line of output.
func (p Payload) lineText(stream byte) string {
	if p.UTF8 && (stream == Out || stream == Err) {
		return utf8Text
	}
	return ""
}

// appendSix appends n in at least six digits. It is much faster than package fmt, which counts for
// output of megabytes.
func appendSix(b []byte, n int) []byte {
	for limit := 100_000; limit > n && limit > 1; limit /= 10 {
		b = append(b, '0')
	}
	return strconv.AppendInt(b, int64(n), 10)
}

// appendLines appends numbered lines 1..n of stream.
func (p Payload) appendLines(b []byte, stream byte, n int, eol string) []byte {
	h := p.seed(stream)
	for i := 1; i <= n; i++ {
		h = nextHash(h, i)
		b = append(p.appendLine(b, stream, i, h), eol...)
	}
	return b
}

// Count returns how many numbered lines stream gets.
func (p Payload) Count(stream byte) int {
	if stream == Err {
		return p.Stderr
	}
	return p.Stdout
}

// Expected returns the bytes that stream ("o" or "e") must carry when the exec runs undisturbed and
// gets all of its input, without the lines about the terminal size. A terminal merges stderr into
// stdout in an order that is not defined; payloads with TTY therefore have Stderr 0.
func (p Payload) Expected(stream byte) []byte { return p.ExpectedTelling(stream, nil) }

// ExpectedTelling is Expected for an exec that told told about its box.
func (p Payload) ExpectedTelling(stream byte, told Told) []byte {
	out := p.expectedLines(stream, told)
	if stream == Out && p.Stdin > 0 && p.Binary == "" {
		out = p.appendReport(out, p.Stdin, true)
	}
	return out
}

// expectedLines is ExpectedTelling without the report about input.
func (p Payload) expectedLines(stream byte, told Told) []byte {
	if p.Binary != "" {
		return nil
	}
	b := []byte{}
	eol := "\n"
	if p.TTY {
		eol = "\r\n"
	}
	if stream == Out {
		for _, l := range p.header(told) {
			b = append(b, l+eol...)
		}
	}
	return p.appendLines(b, stream, p.Count(stream), eol)
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

// Duration is how long the exec takes by itself, leaving out the time the machine needs, except for
// output of many thousand lines, which takes some on any machine.
func (p Payload) Duration() time.Duration {
	const free, each = 10_000, 10 * time.Microsecond
	return p.Sleep + p.Watch + time.Duration(max(0, p.Stdout+p.Stderr-free))*each
}

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
	if p.Stdin > 0 {
		b.WriteString(p.readScript() + "\n")
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
	if to-from < inline {
		var lines []string
		for i := from; i <= to; i++ {
			h = nextHash(h, i)
			lines = append(lines, string(p.appendLine(nil, stream, i, h)))
		}
		return "printf '%s\\n' '" + strings.Join(lines, "' '") + "'", h
	}
	after := h
	for i := from; i <= to; i++ {
		after = nextHash(after, i)
	}
	return fmt.Sprintf(`awk 'BEGIN{h=%d;for(i=%d;i<=%d;i++){h=(h*31+i*7)%%%d;printf "%s %c %%06d %%06d%s\n",i,h}}'`,
		h, from, to, hashMod, p.Token, stream, p.lineText(stream)), after
}

// Seed returns the running hash of stream before its first line.
func (p Payload) Seed(stream byte) int { return p.seed(stream) }

// UTF8Text is what stands behind the hash of each line of an exec with UTF8.
const UTF8Text = utf8Text
