//go:build !(linux && cgo && sdjournal)

package journal

import "errors"

// sdScan and sdUnit are nil: this build reads journals through journalctl.
var (
	sdScan rawScan
	sdUnit unitScan
)

func sdProbe(string) error { return errors.New("not in this build") }
