package journal

import (
	"fmt"
	"path/filepath"
)

// The names Describe gives.
const (
	describeSD         = "sdjournal"
	describeJournalctl = "journalctl"
	describeFile       = "ndjson file"
)

// OpenDir returns a reader of the journal files in logDir and its subdirectories. varlink is the
// path of the varlink socket of the journald that writes them (io.systemd.journal in its run-time
// directory); Sync fails without it. It is an error if logDir cannot be read or if the machine has
// no means to read a journal.
func OpenDir(logDir, varlink string) (Reader, error) {
	dir, err := filepath.Abs(logDir)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if _, err := listJournals(dir); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	r := &dirReader{dir: dir, varlink: varlink, how: describeJournalctl, raw: journalctlScan}
	if sdScan != nil {
		err := sdProbe(dir)
		if err == nil {
			r.how, r.raw = describeSD, sdScan
			return r, nil
		}
		// A program built with sdjournal may run where libsystemd.so.0 is not installed.
		r.how = fmt.Sprintf("%s (sdjournal: %v)", describeJournalctl, err)
	}
	if _, err := findJournalctl(); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	return r, nil
}
