package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Plain takes a line apart that a program printed as its log: what Go's slog prints as text or as JSON,
// or words behind a time and a level. message is the text with its key=value pairs behind it; at is
// zero when the line does not tell a time. Other lines come back as they are.
func Plain(line string) (message string, at time.Time) {
	line = strings.TrimRight(colours.ReplaceAllString(line, ""), "\r\n")
	if strings.HasPrefix(line, "{") {
		if message, at, ok := plainJSON(line); ok {
			return message, at
		}
	}
	if m := slogText.FindStringSubmatch(line); m != nil {
		at, _ = time.Parse(time.RFC3339Nano, m[1])
		text, err := strconv.Unquote(m[2])
		if err != nil {
			text = m[2]
		}
		return text + m[3], at
	}
	if m := levelled.FindStringSubmatch(line); m != nil {
		at, _ = time.Parse(time.RFC3339Nano, m[1])
		return m[2], at
	}
	return line, time.Time{}
}

var (
	colours  = regexp.MustCompile("\x1b\\[[0-9;]*m")
	slogText = regexp.MustCompile(`^(?:time=(\S+) )?level=\S+ (?:source=\S+ )?msg=("(?:[^"\\]|\\.)*"|\S+)((?: .*)?)$`)
	levelled = regexp.MustCompile(`^(\S{5,40}(?: \S{5,20})?) (?:DBG|INF|WRN|ERR|DEBUG|INFO|WARN|ERROR) (.*)$`)
)

// plainJSON reads an object with a msg, as slog and zap print it. Its fields keep their order.
func plainJSON(line string) (message string, at time.Time, ok bool) {
	dec := json.NewDecoder(strings.NewReader(line))
	dec.UseNumber()
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return "", at, false
	}
	var rest strings.Builder
	for dec.More() {
		key, err := dec.Token()
		var value any
		if err != nil || dec.Decode(&value) != nil {
			return "", at, false
		}
		text := format(value)
		switch key {
		case "msg", "message":
			message, ok = text, true
		case "time", "ts":
			at, _ = time.Parse(time.RFC3339Nano, text)
		case "level", "source":
		default:
			fmt.Fprintf(&rest, " %v=%s", key, quote(text))
		}
	}
	return message + rest.String(), at, ok
}

// textReader reads a file to which a program appends its log, one line an entry. Its cursors are byte
// offsets of line ends.
type textReader struct {
	path  string
	start Cursor // where it ended when it was opened
}

// maxLine bounds a line of a log: what is longer is cut.
const maxLine = 1 << 20

// OpenText returns a reader of what is appended to the log file at path from now on. Lines may be what
// Plain reads, or entries as journalctl -o json prints them. The time of a line that tells none is when
// it is read.
func OpenText(path string) (Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("open log: %s is no regular file", path)
	}
	end, err := lastLineEnd(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	r := textReader{path: path}
	if end > 0 {
		r.start = Cursor(strconv.FormatInt(end, 10))
	}
	return r, nil
}

// lastLineEnd returns where the last whole line of f ends.
func lastLineEnd(f *os.File, size int64) (int64, error) {
	buf := make([]byte, 1<<16)
	for end := size; end > 0; {
		from := max(0, end-int64(len(buf)))
		n, err := f.ReadAt(buf[:end-from], from)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		for i := n - 1; i >= 0; i-- {
			if buf[i] == '\n' {
				return from + int64(i) + 1, nil
			}
		}
		end = from
	}
	return 0, nil
}

// Sync waits for what the program may still have in its hands.
func (r textReader) Sync(ctx context.Context) error { return wait(ctx, settleTime) }
func (r textReader) Describe() string               { return "log file, " + settleTime.String() + " behind" }
func (r textReader) Close() error                   { return nil }

func (r textReader) Scan(ctx context.Context, after Cursor) ([]Entry, Cursor, error) {
	if after == "" {
		after = r.start
	}
	entries, err := r.scan(ctx, after)
	if errors.Is(err, ErrLost) {
		after = fromBegin // it was replaced
	}
	if err != nil {
		return nil, after, fmt.Errorf("scan log file: %w", err)
	}
	if len(entries) > 0 {
		after = Cursor(entries[len(entries)-1].Cursor)
	}
	return entries, after, nil
}

// fromBegin is the cursor of the beginning of a file.
const fromBegin Cursor = "begin"

func (r textReader) scan(ctx context.Context, after Cursor) ([]Entry, error) {
	f, err := os.Open(r.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s is gone", ErrLost, r.path)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if after == fromBegin {
		after = ""
	}
	return scanLines(ctx, f, after, func(line []byte, _ int64) (Entry, error) {
		return textEntry(line[:min(len(line), maxLine)], time.Now()), nil
	})
}

// textEntry makes an entry of a line that was read now.
func textEntry(line []byte, now time.Time) Entry {
	if e, err := parseEntry(line); err == nil {
		return e
	}
	message, at := Plain(string(line))
	if at.IsZero() {
		at = now
	}
	return Entry{Time: at.UTC(), Priority: defaultPriority, Message: message}
}
