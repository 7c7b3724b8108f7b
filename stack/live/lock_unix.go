//go:build unix

package live

import (
	"errors"
	"os"
	"syscall"
)

// lock claims f for as long as the process lives or f is open.
func lock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

// locked reports whether err means that another process has the lock.
func locked(err error) bool { return errors.Is(err, syscall.EWOULDBLOCK) }
