package journal

import (
	"context"
	"fmt"
	"time"
)

// journalctlUnit is a unitScan by the journalctl command. The match is the one of -u, without what
// systemd itself says about the unit.
func journalctlUnit(ctx context.Context, unit string, since time.Time, from Cursor) ([]Entry, error) {
	where := fmt.Sprintf("--since=@%d", since.Unix())
	if from != "" {
		where = "--cursor=" + string(from)
	}
	return runJournalctl(ctx, func() {}, where, "_SYSTEMD_UNIT="+unit, "+", fieldMessageID+"="+suppressedID)
}
