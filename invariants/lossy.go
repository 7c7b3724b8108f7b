package invariants

import (
	"bytes"
	"fmt"
	"time"

	"chaos/model"
)

// A server keeps the last 256 KiB of each stream for those who attach later, and a queue of 256 chunks
// for each of those who are attached. Whoever does not read in time loses what is more.
const (
	keptBytes = 256 << 10
	// queuedLines is how many lines surely fit into the queue. No line is written in more than two pieces.
	queuedLines = 128
	// patience is less than a server waits for a caller that does not take the rest once its exec has
	// ended (2 s) or does not answer Close (5 s), before it drops the connection.
	patience = time.Second
)

// lossy reports whether session s may lack parts of a stream.
func (x *Exec) lossy(s *model.Call, stream byte) bool {
	p := x.Start.Payload
	return x.mostWritten(stream) > keptBytes || s.Attach.Slow > 0 && p.Count(stream)+p.Stdin > queuedLines
}

// mostWritten is how many bytes the exec may have written to stream, all that it repeats of its input
// and tells of its terminal included: the server keeps no less of one than of the other.
func (x *Exec) mostWritten(stream byte) int {
	p := x.Start.Payload
	n := len(p.ExpectedTelling(stream, x.told))
	if stream == model.Out && p.Watch > 0 {
		const sizes, line = 64, 80 // far more changes, and longer lines, than any plan has
		n += sizes * line
	}
	return n
}

// ComparePieces is Compare for a stream of which parts may be missing, also the end. What is there
// must be there once, in order, unchanged and the exec's own. Between two gaps there must be a line's
// worth of bytes at least: less could stand anywhere.
func ComparePieces(want, got []byte, token string) (Damage, string) {
	var seen []span // parts of want that came
	at, window, least := 0, windowOf(want), lineOf(want)
	for from := 0; from < len(got); {
		n := common(want[at:], got[from:])
		if n > 0 {
			seen = append(seen, span{at, at + n})
			at, from = at+n, from+n
			continue
		}
		rest := got[from:]
		skip := -1
		for _, size := range []int{window, least} {
			if skip = bytes.Index(want[at:], rest[:min(len(rest), size)]); skip >= 0 {
				break
			}
		}
		if skip >= 0 {
			at += skip
			continue
		}
		return misplaced(want, got, from, seen, token)
	}
	return Intact, ""
}

type span struct{ from, to int }

// misplaced says what is wrong with got from byte from on, which stands nowhere in the part of want
// that may follow.
func misplaced(want, got []byte, from int, seen []span, token string) (Damage, string) {
	where := fmt.Sprintf("at byte %d of %d", from, len(got))
	if other := foreignToken(got[lineStart(got, from):], token); other != "" {
		return Foreign, where + " the output of " + other + " begins"
	}
	piece := got[from:min(len(got), from+windowOf(want))]
	pos := bytes.LastIndex(want, piece)
	if pos < 0 {
		piece = piece[:min(len(piece), lineOf(want))]
		pos = bytes.LastIndex(want, piece)
	}
	if pos < 0 {
		return Corrupt, fmt.Sprintf("%s stands %q, which the exec never wrote", where, clipBytes(piece))
	}
	for _, s := range seen {
		if s.from <= pos && pos < s.to {
			return Duplicated, fmt.Sprintf("%s bytes from %d on come again", where, pos)
		}
	}
	return Reordered, fmt.Sprintf("%s come bytes from %d on, which belong before others that came", where, pos)
}

// common returns how many bytes a and b have in common at their beginning.
func common(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
