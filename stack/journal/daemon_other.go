//go:build !linux

package journal

import (
	"context"
	"fmt"
	"os"
)

// Daemon is a private systemd-journald, which exists on Linux only.
type Daemon struct{}

// StartDaemon fails with ErrNoJournald.
func StartDaemon(context.Context, string) (*Daemon, error) {
	return nil, fmt.Errorf("start journald: %w", ErrNoJournald)
}

// BindSocket fails with ErrNoJournald.
func BindSocket(string) (*os.File, error) { return nil, ErrNoJournald }

// StartDaemonOn fails with ErrNoJournald.
func StartDaemonOn(ctx context.Context, dir string, _ *os.File) (*Daemon, error) {
	return StartDaemon(ctx, dir)
}

// Kill reports true.
func (d *Daemon) Kill() bool { return true }

// Socket is the path of the socket to log to, for DialWriter.
func (d *Daemon) Socket() string { return "" }

// LogDir is the directory of the journal files, for OpenDir.
func (d *Daemon) LogDir() string { return "" }

// Varlink is the path of the varlink socket, for OpenDir and Rotate.
func (d *Daemon) Varlink() string { return "" }

// PID is the process id of journald.
func (d *Daemon) PID() int { return 0 }

// Exited is closed when journald has ended.
func (d *Daemon) Exited() <-chan struct{} { return nil }

// Stop ends journald.
func (d *Daemon) Stop() error { return nil }
