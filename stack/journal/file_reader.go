package journal

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
)

// fileReader reads a file of JSON lines. Its cursors are byte offsets of line ends.
type fileReader struct{ path string }

// OpenFile returns a reader of a file of JSON lines as CreateFileWriter writes it and as
// journalctl -o json prints it. The file need not exist before the first Scan.
func OpenFile(path string) Reader { return fileReader{path} }

// Sync has nothing to do: a line is visible as soon as its writer's Send has returned.
func (r fileReader) Sync(ctx context.Context) error { return ctx.Err() }
func (r fileReader) Describe() string               { return describeFile }
func (r fileReader) Close() error                   { return nil }

func (r fileReader) Scan(ctx context.Context, after Cursor) ([]Entry, Cursor, error) {
	entries, err := r.scan(ctx, after)
	if err != nil {
		return nil, after, fmt.Errorf("scan log file: %w", err)
	}
	if len(entries) > 0 {
		after = Cursor(entries[len(entries)-1].Cursor)
	}
	return entries, after, nil
}

func (r fileReader) scan(ctx context.Context, after Cursor) ([]Entry, error) {
	f, err := os.Open(r.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return scanLines(ctx, f, after, func(line []byte, offset int64) (Entry, error) {
		e, err := parseEntry(line)
		if err != nil {
			return e, fmt.Errorf("%s:%d: %w", r.path, lineAt(f, offset), err)
		}
		return e, nil
	})
}

// scanLines makes an entry of each whole line of f behind after, and gives it the cursor of its end.
// read is given the line and where it begins.
func scanLines(ctx context.Context, f *os.File, after Cursor, read func(line []byte, offset int64) (Entry, error)) ([]Entry, error) {
	offset, err := seekAfter(f, after)
	if err != nil {
		return nil, err
	}
	var entries []Entry
	in := bufio.NewReaderSize(f, 1<<16)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return entries, nil // a line without its end is still being written
		}
		if err != nil {
			return nil, err
		}
		e, err := read(line, offset)
		if err != nil {
			return nil, err
		}
		offset += int64(len(line))
		e.Cursor = strconv.FormatInt(offset, 10)
		entries = append(entries, e)
	}
}

// seekAfter moves f to the place after, which must be the end of a line.
func seekAfter(f *os.File, after Cursor) (int64, error) {
	if after == "" {
		return 0, nil
	}
	offset, err := strconv.ParseInt(string(after), 10, 64)
	if err != nil || offset <= 0 {
		return 0, fmt.Errorf("bad cursor %q", after)
	}
	var end [1]byte
	switch _, err := f.ReadAt(end[:], offset-1); {
	case errors.Is(err, io.EOF):
		return 0, fmt.Errorf("%w: %s is shorter than %d bytes", ErrLost, f.Name(), offset)
	case err != nil:
		return 0, err
	case end[0] != '\n':
		return 0, fmt.Errorf("%w: no line of %s ends at byte %d", ErrLost, f.Name(), offset)
	}
	return f.Seek(offset, io.SeekStart)
}

// lineAt returns the number of the line that starts at offset.
func lineAt(f *os.File, offset int64) int {
	line := 1
	in := io.NewSectionReader(f, 0, offset)
	buf := make([]byte, 1<<16)
	for {
		n, err := in.Read(buf)
		line += bytes.Count(buf[:n], []byte{'\n'})
		if err != nil {
			return line
		}
	}
}
