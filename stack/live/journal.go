package live

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"chaos/stack"
	"chaos/stack/journal"
)

// JournalPlace is where the log of a runner is.
type JournalPlace struct {
	Kind string // "unit", "file", "dir", or "" for none
	Name string // of the unit, or a path
}

// ParseJournal reads where a log is: unit:NAME, file:PATH, dir:PATH, or none.
func ParseJournal(text string) (JournalPlace, error) {
	if text == "" || text == "none" {
		return JournalPlace{}, nil
	}
	kind, name, _ := strings.Cut(text, ":")
	switch {
	case kind != "unit" && kind != "file" && kind != "dir" || name == "":
		return JournalPlace{}, errors.New("want unit:NAME, file:PATH, dir:PATH or none")
	case kind == "unit" && (strings.ContainsAny(name, "/ \t\n=+*?[") || strings.HasPrefix(name, "-")):
		return JournalPlace{}, errors.New("that is no name of a systemd unit, like boxlite-runner")
	}
	return JournalPlace{kind, name}, nil
}

// openLimit is how long it may take to look at a journal for the first time.
const openLimit = 20 * time.Second

// unitLog is the log of a runner, from when it was opened on.
type unitLog struct {
	reader journal.Reader
	name   string
	start  journal.Cursor
}

// openJournal opens the log that text names, nil if none.
func openJournal(text string) (*unitLog, error) {
	place, err := ParseJournal(text)
	if err != nil || place.Kind == "" {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), openLimit)
	defer cancel()
	l := &unitLog{name: place.Name}
	switch place.Kind {
	case "unit":
		l.reader, err = journal.OpenUnit(ctx, place.Name)
	case "file":
		l.reader, err = journal.OpenText(place.Name)
	case "dir":
		// A journald of its own has its sockets beside its files.
		l.reader, err = journal.OpenDir(place.Name, filepath.Join(filepath.Dir(filepath.Clean(place.Name)), "run", "io.systemd.journal"))
		if err == nil {
			_, l.start, err = l.reader.Scan(ctx, "")
		}
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (l *unitLog) close() { _ = l.reader.Close() }

// Describe implements stack.JournalSource.
func (l *unitLog) Describe() string { return l.reader.Describe() }

// apiIdentifier marks lines of the API where API and runner share a journal.
const apiIdentifier = "boxlite-api"

// Since implements stack.JournalSource.
func (l *unitLog) Since(ctx context.Context, cursor string) ([]stack.LogEntry, string, error) {
	if err := l.reader.Sync(ctx); err != nil {
		return nil, cursor, err
	}
	at := journal.Cursor(cursor)
	if cursor == "" {
		at = l.start
	}
	entries, next, err := l.reader.Scan(ctx, at)
	if errors.Is(err, journal.ErrLost) {
		return []stack.LogEntry{{Time: time.Now(), Unit: l.name, Lost: true}}, string(next), nil
	}
	if err != nil {
		return nil, cursor, fmt.Errorf("read the log of %s: %w", l.name, err)
	}
	var out []stack.LogEntry
	for _, e := range entries {
		if e.Identifier == apiIdentifier {
			continue
		}
		message, _ := journal.Plain(e.Message)
		out = append(out, stack.LogEntry{Time: e.Time, Unit: l.name, Message: message, Lost: journal.Suppressed(e)})
	}
	return out, string(next), nil
}
