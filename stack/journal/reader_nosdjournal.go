//go:build !(linux && cgo && sdjournal)

package journal

import "errors"

// sdScan is nil: this build reads journals through journalctl.
var sdScan rawScan

func sdProbe(string) error { return errors.New("not in this build") }
