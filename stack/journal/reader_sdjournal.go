//go:build linux && cgo && sdjournal

package journal

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/sdjournal"
)

// sdScan is a rawScan by libsystemd.
var sdScan rawScan = sdjournalScan

// sdProbe reports why libsystemd cannot read dir.
func sdProbe(dir string) error {
	j, err := sdjournal.NewJournalFromDir(dir)
	if err != nil {
		return err
	}
	return j.Close()
}

func sdjournalScan(ctx context.Context, dir string, from Cursor, opened func()) (entries []Entry, err error) {
	j, err := sdjournal.NewJournalFromDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	defer func() {
		if cerr := j.Close(); cerr != nil && err == nil {
			entries, err = nil, fmt.Errorf("close journal: %w", cerr)
		}
	}()
	opened()
	if err := j.SetDataThreshold(0); err != nil { // 0: never cut a long value
		return nil, fmt.Errorf("set journal data threshold: %w", err)
	}
	seek := j.SeekHead
	if from != "" {
		seek = func() error { return j.SeekCursor(string(from)) }
	}
	if err := seek(); err != nil {
		return nil, fmt.Errorf("seek journal: %w", err)
	}
	return sdEntries(ctx, j)
}

// sdUnit is a unitScan by libsystemd.
var sdUnit unitScan = sdjournalUnit

func sdjournalUnit(ctx context.Context, unit string, since time.Time, from Cursor) (entries []Entry, err error) {
	j, err := sdjournal.NewJournal()
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	defer func() {
		if cerr := j.Close(); cerr != nil && err == nil {
			entries, err = nil, fmt.Errorf("close journal: %w", cerr)
		}
	}()
	seek := func() error { return j.SeekRealtimeUsec(uint64(since.UnixMicro())) }
	if from != "" {
		seek = func() error { return j.SeekCursor(string(from)) }
	}
	for _, step := range []func() error{
		func() error { return j.SetDataThreshold(0) }, // 0: never cut a long value
		func() error { return j.AddMatch("_SYSTEMD_UNIT=" + unit) },
		j.AddDisjunction,
		func() error { return j.AddMatch(fieldMessageID + "=" + suppressedID) },
		seek,
	} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("prepare journal: %w", err)
		}
	}
	return sdEntries(ctx, j)
}

// sdEntries reads j from where it stands to its end.
func sdEntries(ctx context.Context, j *sdjournal.Journal) (entries []Entry, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n, err := j.Next()
		if err != nil {
			return nil, fmt.Errorf("read journal: %w", err)
		}
		if n == 0 {
			return entries, nil
		}
		e, err := sdEntry(j)
		if err != nil {
			return nil, fmt.Errorf("read journal entry: %w", err)
		}
		entries = append(entries, e)
	}
}

// sdEntry reads the entry j stands on.
func sdEntry(j *sdjournal.Journal) (e Entry, err error) {
	us, err := j.GetRealtimeUsec()
	if err != nil {
		return e, err
	}
	if e.Cursor, err = j.GetCursor(); err != nil {
		return e, err
	}
	var pid, prio string
	for _, f := range []struct {
		name string
		to   *string
	}{
		{fieldMessage, &e.Message},
		{fieldMessageID, &e.MessageID},
		{fieldIdentifier, &e.Identifier},
		{fieldPriority, &prio},
		{fieldPID, &pid},
	} {
		if *f.to, err = sdField(j, f.name); err != nil {
			return e, err
		}
	}
	e.Time = time.UnixMicro(int64(us)).UTC()
	e.PID = atoi(pid, 0)
	e.Priority = atoi(prio, defaultPriority)
	return e, nil
}

// sdField returns "" for a field the entry does not have.
func sdField(j *sdjournal.Journal, name string) (string, error) {
	v, err := j.GetDataValue(name)
	if errors.Is(err, syscall.ENOENT) {
		return "", nil
	}
	return v, err
}
