package journal

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// The system's journald.
const systemVarlink = "/run/systemd/journal/io.systemd.journal"

// settleTime is how long lines may take to show where journald offers no barrier to this user. It
// writes what it gets within milliseconds.
const settleTime = 300 * time.Millisecond

// unitScan returns the entries of a systemd unit from the one at the cursor from on, or since a time
// when from is "". If the entry at from is gone, it begins with a later one. journald's notes about
// lines that it dropped are among them.
type unitScan func(ctx context.Context, unit string, since time.Time, from Cursor) ([]Entry, error)

// unitReader reads what one unit logs into the journal of the machine.
type unitReader struct {
	unit  string
	how   string
	scan  unitScan
	exact bool // journald lets us ask for a barrier

	mu    sync.Mutex
	since time.Time // what is older does not count
}

// OpenUnit returns a reader of what the systemd unit logs from now on. The journal of the machine must
// be readable: mostly by root and members of the group systemd-journal. A name without a suffix is that
// of a service.
func OpenUnit(ctx context.Context, unit string) (Reader, error) {
	r := &unitReader{unit: UnitName(unit), since: time.Now(), how: describeJournalctl, scan: journalctlUnit}
	if sdUnit != nil {
		if _, err := sdUnit(ctx, r.unit, r.since, ""); err == nil {
			r.how, r.scan = describeSD, sdUnit
		} else {
			r.how = fmt.Sprintf("%s (sdjournal: %v)", describeJournalctl, err)
		}
	}
	if _, err := r.scan(ctx, r.unit, r.since, ""); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if dirs := readable("/var/log/journal", "/run/log/journal"); !dirs {
		return nil, fmt.Errorf("open journal: neither /var/log/journal nor /run/log/journal can be read; run as root or as a member of systemd-journal")
	}
	r.exact = synchronize(ctx, systemVarlink) == nil
	return r, nil
}

func readable(dirs ...string) bool {
	for _, d := range dirs {
		if _, err := os.ReadDir(d); err == nil {
			return true
		}
	}
	return false
}

// UnitName returns the whole name of a unit.
func UnitName(unit string) string {
	for _, kind := range []string{".service", ".scope", ".target", ".socket"} {
		if strings.HasSuffix(unit, kind) {
			return unit
		}
	}
	return unit + ".service"
}

// RotateSystem makes the system's journald begin new files.
func RotateSystem(ctx context.Context) error { return Rotate(ctx, systemVarlink) }

// Sync waits for a barrier, or where journald gives none for as long as lines may take.
func (r *unitReader) Sync(ctx context.Context) error {
	if r.exact && synchronize(ctx, systemVarlink) == nil {
		return nil
	}
	return wait(ctx, settleTime)
}

func (r *unitReader) Describe() string {
	if r.exact {
		return r.how + " of " + r.unit
	}
	return fmt.Sprintf("%s of %s, %s behind", r.how, r.unit, settleTime)
}

func (r *unitReader) Close() error { return nil } // nothing stays open between scans

// Scan returns with ErrLost the cursor of what is logged from then on.
func (r *unitReader) Scan(ctx context.Context, after Cursor) ([]Entry, Cursor, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for again := false; ; again = true {
		entries, err := r.scan(ctx, r.unit, r.since, after)
		lost := err == nil && after != "" && (len(entries) == 0 || entries[0].Cursor != string(after))
		switch {
		case err == nil && !lost:
			entries, next, err := result(entries, after)
			return r.about(entries), next, err
		case !again && ctx.Err() == nil: // a rotation can be the reason
		case err != nil:
			return nil, after, fmt.Errorf("scan journal: %w", err)
		default:
			r.since = time.Now()
			return nil, "", fmt.Errorf("scan journal of %s: %w: the entry to continue from is gone", r.unit, ErrLost)
		}
	}
}

// about drops what is older than the reader, and notes about the lines of other units.
func (r *unitReader) about(entries []Entry) []Entry {
	var out []Entry
	for _, e := range entries {
		if !e.Time.Before(r.since) && (!Suppressed(e) || strings.Contains(e.Message, r.unit)) {
			out = append(out, e)
		}
	}
	return out
}
