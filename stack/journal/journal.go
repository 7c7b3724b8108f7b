// Package journal reads and writes the log of a stack: a systemd journal where there is one, a
// file of JSON lines where there is none.
//
// Logs decide whether something happened, so reading them must be exact. A Reader never follows a
// journal. It is asked for a barrier (Sync) and then for a fresh scan (Scan): a live follower of
// the journal can step past an entry for good, a fresh scan after a barrier cannot.
//
// Reading a systemd journal goes through libsystemd when the program was built with the tag
// sdjournal, cgo and Linux, and through the journalctl command otherwise. Both give the same
// entries. The tagged build needs the two libsystemd headers; the directory shim holds the few
// lines of them that matter, for machines without the development package:
//
//	CGO_CFLAGS="-g -O2 -idirafter $PWD/stack/journal/shim" go build -tags sdjournal ./...
package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Entry is one line of a log.
type Entry struct {
	Time       time.Time // when the log received it, wall clock, exact to the microsecond
	Cursor     string    // position of the entry in its log
	Identifier string    // SYSLOG_IDENTIFIER, "" if the sender gave none
	PID        int       // of the sender, 0 if unknown
	Priority   int       // 0 (emergency) to 7 (debug), 6 if the sender gave none
	Message    string
	MessageID  string // MESSAGE_ID: 32 hex digits that name the kind of the message, mostly ""
}

// Cursor is a place in a log: just behind the entry whose Cursor it is. "" is the beginning. Its
// text belongs to the reader that gave it.
type Cursor string

// Reader reads one log. It is safe for concurrent use.
type Reader interface {
	// Sync returns when everything that was sent before the call is visible to a Scan that starts
	// after it. It waits as long as ctx allows.
	Sync(ctx context.Context) error

	// Scan opens the log afresh and returns every entry behind after, oldest first, with the place
	// to continue from. With no new entry the returned cursor is after. The error is ErrLost when
	// the log no longer holds the place after stands for.
	Scan(ctx context.Context, after Cursor) ([]Entry, Cursor, error)

	// Describe names the way the log is read, for people.
	Describe() string

	io.Closer
}

// Writer sends lines to one log. It is safe for concurrent use, and any number of processes may
// write to the same log.
type Writer interface {
	// Send writes one entry. prio is 0 to 7; fields become journal fields and may be nil, their
	// names are upper-case letters, digits and underscores and start with a letter. Send blocks
	// while the log takes nothing in. An error means that the entry is not in the log.
	Send(prio int, identifier, message string, fields map[string]string) error

	io.Closer
}

var (
	// ErrNoJournald reports a machine without systemd-journald.
	ErrNoJournald = errors.New("no systemd-journald on this machine")

	// ErrLost reports that entries have disappeared from a log: old ones were dropped for want of
	// space, or the log was replaced. Nothing may be concluded from an entry that is missing.
	ErrLost = errors.New("log entries lost")
)

// suppressedID is the MESSAGE_ID of journald's note that it dropped messages of a sender which
// exceeded the rate limit.
const suppressedID = "a596d6fe7bfa4994828e72309e95d61e"

// Suppressed reports whether e is journald's note that it dropped messages. A log with such an
// entry is incomplete: nothing may be concluded from an entry that is missing.
func Suppressed(e Entry) bool { return e.MessageID == suppressedID }

// Open returns a writer for address: "unix:PATH" is the socket of a journald, "file:PATH" a file
// of JSON lines, which is created if missing.
func Open(address string) (Writer, error) {
	kind, path, ok := strings.Cut(address, ":")
	switch {
	case ok && kind == "unix" && path != "":
		return DialWriter(path)
	case ok && kind == "file" && path != "":
		return CreateFileWriter(path)
	}
	return nil, fmt.Errorf("open log %q: want unix:PATH or file:PATH", address)
}

// checkSend reports an entry that could not be written to a journal as it is.
func checkSend(prio int, fields map[string]string) error {
	if prio < 0 || prio > 7 {
		return fmt.Errorf("send log entry: priority %d is not between 0 and 7", prio)
	}
	for name := range fields {
		if err := checkField(name); err != nil {
			return fmt.Errorf("send log entry: %w", err)
		}
	}
	return nil
}

// checkField refuses the field names that journald would drop without a word, and those that Send
// sets itself.
func checkField(name string) error {
	switch name {
	case fieldMessage, fieldPriority, fieldIdentifier:
		return fmt.Errorf("field %s is set by the writer", name)
	}
	if name == "" || len(name) > 64 || name[0] < 'A' || name[0] > 'Z' {
		return fmt.Errorf("bad field name %q", name)
	}
	for _, c := range []byte(name) {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' {
			return fmt.Errorf("bad field name %q", name)
		}
	}
	return nil
}
