package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// BindSocket binds the socket to log to of a journald in dir, which is created if missing, for StartDaemonOn.
// As long as it is open nobody notices when there is no journald: what is sent waits in the socket, a
// few entries of it, and then its sender waits. systemd holds the socket of the host's journald in the same way.
func BindSocket(dir string) (*os.File, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("bind log socket: %w", err)
	}
	d := &Daemon{dir: abs}
	if err := errors.Join(checkSocketPath(d.Varlink()), os.MkdirAll(d.runDir(), 0o700)); err != nil {
		return nil, fmt.Errorf("bind log socket: %w", err)
	}
	if err := os.Remove(d.Socket()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("bind log socket: %w", err)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("bind log socket: %w", err)
	}
	// Entries that come before journald does must carry the process id of their sender, too.
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: d.Socket()})
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("bind log socket: %w", err)
	}
	return os.NewFile(uintptr(fd), d.Socket()), nil
}

// How often Kill looks for a moment between two entries, and how long it lets journald go on after each look.
const (
	killLooks = 200
	killPause = 500 * time.Microsecond
)

// Kill ends journald at once, as SIGKILL does, and waits for its end. It seeks a moment in which journald has
// no entry in its hands; whole is false when it found none, so that the last entry may be lost. Stop is
// still to be called.
func (d *Daemon) Kill() (whole bool) {
	select {
	case <-d.done:
		return false
	default:
	}
	for range killLooks {
		if _ = d.cmd.Process.Signal(syscall.SIGSTOP); d.idle() {
			whole = true
			break
		}
		_ = d.cmd.Process.Signal(syscall.SIGCONT)
		time.Sleep(killPause)
	}
	_ = d.cmd.Process.Kill()
	<-d.done
	return whole
}

// idle reports whether journald stands still, and does so while it waits for something to happen.
func (d *Daemon) idle() bool {
	dir := "/proc/" + strconv.Itoa(d.PID())
	for range killLooks {
		stat, err := os.ReadFile(dir + "/stat")
		if err != nil {
			return false
		}
		if _, rest, _ := strings.Cut(string(stat), ") "); strings.HasPrefix(rest, "T") {
			break
		}
		time.Sleep(killPause / 10)
	}
	call, err := os.ReadFile(dir + "/syscall")
	if err != nil {
		return false
	}
	number, _, _ := strings.Cut(string(call), " ")
	return slices.Contains(waitCalls, number)
}
