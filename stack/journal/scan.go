package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// rawScan opens the journal files in dir and returns the entries from the one at the cursor from
// on, or all of them when from is "". If the entry at from is gone, it begins with a later one. It
// calls opened as soon as the files are open. Its cursors are journald's own.
type rawScan func(ctx context.Context, dir string, from Cursor, opened func()) ([]Entry, error)

// dirReader makes exact scans of a journal directory out of raw ones, whose result can be wrong
// while journald writes and rotates (see Scan).
type dirReader struct {
	dir     string
	varlink string
	how     string
	raw     rawScan
}

func (r *dirReader) Sync(ctx context.Context) error { return synchronize(ctx, r.varlink) }
func (r *dirReader) Describe() string               { return r.how }
func (r *dirReader) Close() error                   { return nil } // nothing stays open between scans

// errMoved is the reason why a scan was not accepted.
var errMoved = errors.New("journal files changed while they were opened")

// longestPause is the longest one between two attempts to catch the files at rest.
const longestPause = 50 * time.Millisecond

// Scan takes a raw scan for the truth unless it shows one of the signs of a race with journald:
//
//   - The set of files changed while they were opened: a rotation renames files, and listing a
//     directory during a rename can miss a file. Try again, as long as ctx allows: rotations that
//     follow one another without a rest are somebody's fault injection and will end.
//   - It failed, or the entry at after is gone. A rotation can cause this as well. If it happens in
//     two scans, it is real.
//   - Sequence numbers are missing. The entries of two users sit in two files, which are read one
//     after the other: entry 10 may be added to the first after the reader has passed its end, and
//     11 to the second before the reader gets there. A fresh scan then shows 10. If it does not,
//     the gap is real (entries that this user may not read, or that were never stored). A gap that
//     only the second scan shows may be another such race, so the result ends in front of it;
//     everything the first scan saw lies before it.
func (r *dirReader) Scan(ctx context.Context, after Cursor) ([]Entry, Cursor, error) {
	var known map[string]bool // gaps of an earlier scan
	var lost bool             // an earlier scan did not find the entry at after
	var failure error         // the last error that is not errMoved
	for pause := time.Millisecond; ; pause = min(2*pause, longestPause) {
		if err := ctx.Err(); err != nil {
			return nil, after, fmt.Errorf("scan journal: %w", err)
		}
		entries, err := r.scanOnce(ctx, after)
		if errors.Is(err, errMoved) {
			if err := wait(ctx, pause); err != nil {
				return nil, after, fmt.Errorf("scan journal: %w: %w", errMoved, err)
			}
			continue
		}
		if err != nil {
			if failure != nil {
				return nil, after, fmt.Errorf("scan journal: %w", err)
			}
			failure = err
			continue
		}
		if after != "" && (len(entries) == 0 || entries[0].Cursor != string(after)) {
			if lost {
				return nil, after, fmt.Errorf("scan journal %s: %w: the entry to continue from is gone", r.dir, ErrLost)
			}
			lost = true
			continue
		}
		gaps := findGaps(entries)
		if len(gaps) > 0 && known == nil {
			known = make(map[string]bool, len(gaps))
			for _, g := range gaps {
				known[g.name] = true
			}
			continue
		}
		for _, g := range gaps {
			if !known[g.name] {
				entries = entries[:g.before]
				break
			}
		}
		return result(entries, after)
	}
}

// wait pauses for d or until ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// scanOnce is one raw scan. It fails with errMoved when the set of files may have been seen torn.
func (r *dirReader) scanOnce(ctx context.Context, after Cursor) ([]Entry, error) {
	listed, err := listJournals(r.dir)
	if err != nil {
		return nil, err
	}
	var again string
	var againErr error
	entries, err := r.raw(ctx, r.dir, after, func() { again, againErr = listJournals(r.dir) })
	switch {
	case err != nil:
		return nil, err
	case againErr != nil:
		return nil, againErr
	case again != listed:
		return nil, errMoved
	}
	return entries, nil
}

// listJournals describes the set of journal files below dir. A rotation always changes it: the
// archived file's name has never been there before.
func listJournals(dir string) (string, error) {
	var names strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if path != dir && errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		if name := d.Name(); strings.HasSuffix(name, ".journal") || strings.HasSuffix(name, ".journal~") {
			names.WriteString(path)
			names.WriteByte('\n')
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("list journal files: %w", err)
	}
	return names.String(), nil
}

// result drops the entry at after, which was read only to see that it is still there.
func result(entries []Entry, after Cursor) ([]Entry, Cursor, error) {
	if after != "" && len(entries) > 0 {
		entries = entries[1:]
	}
	if len(entries) == 0 {
		return nil, after, nil
	}
	return entries, Cursor(entries[len(entries)-1].Cursor), nil
}

// gap is a place where sequence numbers are missing.
type gap struct {
	name   string // the source of the numbers and the two numbers around the gap
	before int    // index of the entry behind the gap
}

// findGaps compares each entry with the one before it from the same source of sequence numbers.
func findGaps(entries []Entry) []gap {
	last := map[string]uint64{}
	var gaps []gap
	for i, e := range entries {
		source, seq, ok := sequence(e.Cursor)
		if !ok {
			continue
		}
		if prev, seen := last[source]; seen && seq != prev+1 {
			gaps = append(gaps, gap{name: fmt.Sprintf("%s:%d:%d", source, prev, seq), before: i})
		}
		last[source] = seq
	}
	return gaps
}

// sequence takes the source of sequence numbers and the number out of a cursor ("s=ID;i=HEX;…").
func sequence(cursor string) (source string, seq uint64, ok bool) {
	s, rest, ok1 := strings.Cut(cursor, ";")
	i, _, ok2 := strings.Cut(rest, ";")
	source, ok3 := strings.CutPrefix(s, "s=")
	hex, ok4 := strings.CutPrefix(i, "i=")
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return "", 0, false
	}
	seq, err := strconv.ParseUint(hex, 16, 64)
	return source, seq, err == nil
}
