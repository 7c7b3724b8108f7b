//go:build !linux

package journal

import (
	"errors"
	"fmt"
	"net"
)

// sendMemfd fails: memory files, like journald, are Linux only.
func sendMemfd(_ *net.UnixConn, entry []byte) error {
	return fmt.Errorf("entry of %d bytes is too long for a datagram: %w", len(entry), errors.ErrUnsupported)
}

// trySend leaves the entry to those who may block.
func trySend(*net.UnixConn, []byte) error { return errors.ErrUnsupported }
