//go:build !linux

package sandbox

import (
	"context"
	"os"
	"syscall"
)

// Box is a running box. There is none on this operating system.
type Box struct{}

// Process is one exec of a box. There is none on this operating system.
type Process struct {
	Stdin, Stdout, Stderr *os.File
	PID                   int
}

// Probe says that no mode works.
func Probe() (Mode, string) { return Plain, ErrUnsupported.Error() }

// Start returns ErrUnsupported, or what is wrong with cfg.
func Start(_ context.Context, cfg Config) (*Box, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	return nil, ErrUnsupported
}

// Adopt returns ErrUnsupported.
func Adopt(context.Context, string) (*Box, error) { return nil, ErrUnsupported }

// Exec returns ErrUnsupported.
func (b *Box) Exec(context.Context, Spec) (*Process, error) { return nil, ErrUnsupported }

// Gone is nil.
func (b *Box) Gone() <-chan struct{} { return nil }

// Kill returns ErrUnsupported.
func (b *Box) Kill() error { return ErrUnsupported }

// InitPID is 0.
func (b *Box) InitPID() int { return 0 }

// Exited is nil.
func (p *Process) Exited() <-chan struct{} { return nil }

// ExitCode is -1.
func (p *Process) ExitCode() int { return -1 }

// Signal returns ErrUnsupported.
func (p *Process) Signal(syscall.Signal) error { return ErrUnsupported }

// KillGroup returns ErrUnsupported.
func (p *Process) KillGroup() error { return ErrUnsupported }

// Resize returns ErrUnsupported.
func (p *Process) Resize(_, _ uint16) error { return ErrUnsupported }

// Close does nothing.
func (p *Process) Close() {}

// Pump returns ErrUnsupported.
func (p *Process) Pump(*os.File, func([]byte)) error { return ErrUnsupported }

// ReadAvailable returns ErrUnsupported.
func ReadAvailable(*os.File, []byte) (int, error) { return 0, ErrUnsupported }
