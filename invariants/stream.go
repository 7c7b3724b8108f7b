package invariants

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"chaos/model"
)

// Damage is how the bytes of a stream differ from what the exec wrote.
type Damage string

// The kinds of damage. Each is decided from the bytes alone, because every line carries its token,
// stream, index and running hash.
const (
	Intact     Damage = ""
	Truncated  Damage = "truncated"  // the end is missing
	Missing    Damage = "missing"    // a part before the end is missing
	Duplicated Damage = "duplicated" // a part came twice
	Reordered  Damage = "reordered"  // parts came in another order
	Foreign    Damage = "foreign"    // bytes of another exec
	Corrupt    Damage = "corrupt"    // bytes that nobody wrote
)

// window is how many bytes identify a place in a stream of ordinary lines: more than one line, so no
// two are alike.
const window = 64

// lineOf is the length of the longest line at the beginning of want, with its end. So many bytes hold
// every part of a line, from wherever they begin, and stand in one place only.
func lineOf(want []byte) int {
	long := 0
	for line := range bytes.SplitSeq(want[:min(len(want), 4<<10)], []byte("\n")) {
		long = max(long, len(line)+1)
	}
	return long
}

// windowOf is window for a stream whose lines may be longer.
func windowOf(want []byte) int {
	long := lineOf(want)
	return max(window, long+long/2)
}

// Compare finds the first damage in got, which should be all of want. The message tells where.
func Compare(want, got []byte, token string) (Damage, string) {
	same := 0
	for same < len(want) && same < len(got) && want[same] == got[same] {
		same++
	}
	if same == len(got) {
		if same == len(want) {
			return Intact, ""
		}
		return Truncated, fmt.Sprintf("%d of %d bytes came", len(got), len(want))
	}
	rest := got[same:]
	where := fmt.Sprintf("at byte %d of %d", same, len(want))
	if other := foreignToken(got[lineStart(got, same):], token); other != "" {
		return Foreign, where + " the output of " + other + " begins"
	}
	window := windowOf(want)
	piece := rest[:min(len(rest), window)]
	switch pos := place(want, piece, same); {
	case pos < 0:
		return Corrupt, fmt.Sprintf("%s stands %q, which the exec never wrote", where, clipBytes(piece))
	case pos < same:
		return Duplicated, fmt.Sprintf("%s bytes from %d on come again", where, pos)
	case bytes.Contains(rest, want[same:min(pos, same+window)]):
		return Reordered, fmt.Sprintf("%s come bytes from %d on, and the ones between later", where, pos)
	default:
		return Missing, fmt.Sprintf("%s %d bytes are missing", where, pos-same)
	}
}

// lineStart returns where the line begins that at is in.
func lineStart(b []byte, at int) int { return bytes.LastIndexByte(b[:at], '\n') + 1 }

// place finds piece in want, preferring a place behind at.
func place(want, piece []byte, at int) int {
	if i := bytes.Index(want[at:], piece); i >= 0 {
		return at + i
	}
	return bytes.LastIndex(want, piece)
}

var linePattern = regexp.MustCompile(`([A-Za-z0-9-]+\.e[0-9]+) ([oeri]) ([0-9]{6}) ([0-9]{6})`)

// foreignToken returns the token of the first numbered line in b that another exec wrote. A torn
// line of our own can look like one of another exec, but its hash gives it away; and what stands
// before a whole foreign line may look like a part of its token, so every ending of that is tried.
func foreignToken(b []byte, own string) string {
	for _, m := range linePattern.FindAllSubmatch(b[:min(len(b), 64*window)], -1) {
		index, _ := strconv.Atoi(string(m[3]))
		hash, _ := strconv.Atoi(string(m[4]))
		for token := string(m[1]); token != ""; token = token[1:] {
			if model.WroteLine(token, m[2][0], index, hash) {
				if token != own {
					return token
				}
				break
			}
		}
	}
	return ""
}

func clipBytes(b []byte) string {
	if len(b) > 40 {
		b = b[:40]
	}
	return string(b)
}

// withoutSizes takes the lines about the terminal size out of a stream and returns them. One that a
// cut or killed session ends in is torn and says nothing.
func withoutSizes(b []byte, p *model.Payload) (rest []byte, sizes []string) {
	if p.Watch == 0 {
		return b, nil
	}
	for _, line := range bytes.SplitAfter(b, []byte("\n")) {
		text := strings.TrimRight(string(line), "\r\n")
		if !bytes.HasSuffix(line, []byte("\n")) && (torn(text, p.SizePrefix()) || torn(text, p.LastPrefix())) {
			continue
		}
		if strings.HasPrefix(text, p.SizePrefix()) || strings.HasPrefix(text, p.LastPrefix()) {
			sizes = append(sizes, text)
			continue
		}
		rest = append(rest, line...)
	}
	return rest, sizes
}

// torn reports whether text can be the beginning of a line that begins with prefix.
func torn(text, prefix string) bool {
	return strings.HasPrefix(text, prefix) || strings.HasPrefix(prefix, text)
}

// streamCheck is one stream of one attach session, compared.
type streamCheck struct {
	exec    *Exec
	session *model.Call
	stream  string
	damage  Damage
	message string
}

// streams compares both streams of every session. Where the exec was disturbed or the session cut,
// a missing end is what must be expected; where more was written than a server keeps for those who do
// not read in time, missing parts are.
func (f *Facts) streams() []streamCheck {
	if f.looked {
		return f.streamed
	}
	f.looked = true
	for _, x := range f.execs {
		for _, s := range x.Attaches {
			if s.Attach == nil {
				continue
			}
			whole := whole(s) && f.Undisturbed(x, s)
			for _, stream := range []byte{model.Out, model.Err} {
				want, got := x.compared(s, stream)
				compare := Compare
				if x.lossy(s, stream) {
					compare = ComparePieces
				}
				damage, msg := compare(want, got, x.Start.Payload.Token)
				if damage == Intact || damage == Truncated && !whole {
					continue
				}
				name := map[byte]string{model.Out: "stdout", model.Err: "stderr"}[stream]
				f.streamed = append(f.streamed, streamCheck{x, s, name, damage, msg})
			}
		}
	}
	return f.streamed
}

// compared returns what a session should have carried of a stream and what it did, both without what
// other invariants look at: sizes of the terminal, and input that the exec repeats.
func (x *Exec) compared(s *model.Call, stream byte) (want, got []byte) {
	p := x.Start.Payload
	got, _ = withoutSizes(s.Attach.Bytes(stream), p)
	if stream != model.Out || p.Stdin == 0 {
		return p.ExpectedTelling(stream, x.told), got
	}
	back := p.ReadBack(got)
	lines := back.Told
	if lines < 0 || lines > 4*p.Stdin {
		lines = max(back.Lines, p.Stdin)
	}
	return p.ExpectedAfter(lines, x.told), back.Rest
}

// streamFindings turns the comparisons with one of the given kinds of damage into findings.
func streamFindings(f *Facts, kinds ...Damage) []Finding {
	var out []Finding
	for _, c := range f.streams() {
		for _, k := range kinds {
			if c.damage != k {
				continue
			}
			session := "first attach"
			if c.exec.firstSession() != c.session {
				session = "attach again"
			}
			out = append(out, Finding{Call: c.session, Detail: string(k) + ", " + session, State: f.stateName(c.exec.Start), Also: []*model.Call{c.exec.Start},
				Message: fmt.Sprintf("%s of %s, %s: %s", c.stream, label(c.exec.Start), label(c.session), c.message),
				Allowed: wrote(c.exec.Start.Payload.Count(streamByte(c.stream))),
				Got:     string(k) + ": " + c.message})
		}
	}
	return out
}

func wrote(lines int) string {
	if lines == 1 {
		return "exactly the one line that the command wrote"
	}
	return fmt.Sprintf("exactly the %d lines that the command wrote", lines)
}

// firstSession is the first attach that was not refused.
func (x *Exec) firstSession() *model.Call {
	for _, s := range x.Attaches {
		if s.Attach != nil {
			return s
		}
	}
	return nil
}

func streamByte(name string) byte {
	if name == "stderr" {
		return model.Err
	}
	return model.Out
}
