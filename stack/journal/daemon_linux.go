package journal

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Daemon is a private systemd-journald. Its journal and its sockets lie in a directory of its own,
// nothing of the host's journal is touched, and no privilege is needed. If the process that started
// it dies, it ends by itself half a minute later.
type Daemon struct {
	dir  string
	sock *os.File // the socket to log to; nil = journald makes it
	cmd  *exec.Cmd
	keep net.Conn // journald with a name exits when it has had no client for half a minute

	done chan struct{} // closed when the process has been reaped
	exit error         // how it ended, valid after done

	stop    sync.Once
	stopErr error
}

const (
	startTimeout = 10 * time.Second // a journald is ready in 10 ms
	stopTimeout  = 5 * time.Second  // and gone in 7
)

// StartDaemon starts a journald in dir, which is created if missing and should be on a disk with
// some gigabytes free: journald drops old entries where space is short. If dir holds the journal of
// an earlier one, the new one continues it. ctx bounds the start only; the daemon runs until Stop.
// The error is ErrNoJournald if the machine has no systemd-journald.
func StartDaemon(ctx context.Context, dir string) (*Daemon, error) {
	return StartDaemonOn(ctx, dir, nil)
}

// StartDaemonOn is StartDaemon with a socket to log to that BindSocket has bound in the same dir; it stays the
// caller's. What was sent there before the start, after an earlier journald had ended, is stored.
func StartDaemonOn(ctx context.Context, dir string, socket *os.File) (*Daemon, error) {
	d, err := startDaemon(ctx, dir, socket)
	if err != nil {
		return nil, fmt.Errorf("start journald: %w", err)
	}
	return d, nil
}

func startDaemon(ctx context.Context, dir string, socket *os.File) (*Daemon, error) {
	binary, err := findJournald()
	if err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	d := &Daemon{dir: abs, sock: socket, done: make(chan struct{})}
	if err := d.prepare(); err != nil {
		return nil, err
	}
	if err := d.launch(binary); err != nil {
		return nil, err
	}
	if err := d.waitReady(ctx); err != nil {
		_ = d.Stop() // the reason to report is err
		return nil, fmt.Errorf("%w%s", err, d.said())
	}
	return d, nil
}

// findJournald looks where distributions put it; it is in no PATH.
func findJournald() (string, error) {
	for _, dir := range []string{"/lib/systemd", "/usr/lib/systemd"} {
		path := filepath.Join(dir, "systemd-journald")
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
	}
	return "", ErrNoJournald
}

// prepare makes the directories and sees to it that no other journald uses them: a second one
// would take over the sockets without a word.
func (d *Daemon) prepare() error {
	if err := checkSocketPath(d.Varlink()); err != nil { // the longest of them
		return fmt.Errorf("directory name is too long: %w", err)
	}
	for _, dir := range []string{d.runDir(), d.LogDir()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	conn, err := net.Dial("unix", d.stdoutSocket())
	if err == nil {
		conn.Close()
		return fmt.Errorf("directory is in use by another journald: %s", d.dir)
	}
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return nil
}

func (d *Daemon) launch(binary string) error {
	var id [4]byte
	if _, err := rand.Read(id[:]); err != nil {
		return err
	}
	out, err := os.OpenFile(d.outputFile(), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	// The name makes it a journald that minds its own business: only then does it respect the two
	// directories, leave the kernel's messages alone and run next to the host's own.
	args := []string{binary, "chaos" + hex.EncodeToString(id[:])}
	if d.sock != nil { // it wants to hear its own process id together with sockets
		args = append([]string{"/bin/sh", "-c", `LISTEN_PID=$$; export LISTEN_PID; exec "$0" "$@"`}, args...)
	}
	d.cmd = exec.Command(args[0], args[1:]...)
	d.cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "SYSTEMD_LOG_TARGET=console",
		"RUNTIME_DIRECTORY=" + d.runDir(), "LOGS_DIRECTORY=" + d.LogDir(),
	}
	if d.sock != nil {
		d.cmd.Env = append(d.cmd.Env, "LISTEN_FDS=1")
		d.cmd.ExtraFiles = []*os.File{d.sock} // the first descriptor of such is 3 for both
	}
	d.cmd.Dir = "/"
	d.cmd.Stdout, d.cmd.Stderr = out, out
	// Ctrl-C must not end the log first, and one that is frozen must notice that its parent is dead.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGCONT}
	if err := d.cmd.Start(); err != nil {
		return err
	}
	go func() {
		d.exit = d.cmd.Wait()
		close(d.done)
	}()
	return nil
}

// waitReady returns when journald has answered.
func (d *Daemon) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		err := d.connect(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-d.done:
			return fmt.Errorf("exited at once: %w", exitError(d.exit))
		case <-ctx.Done():
			return fmt.Errorf("wait until ready: %w (last error: %v)", ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// connect opens the connection that holds off the idle exit, and tries the other two sockets.
func (d *Daemon) connect(ctx context.Context) error {
	if d.keep == nil {
		conn, err := net.Dial("unix", d.stdoutSocket())
		if err != nil {
			return err
		}
		// The header of a stream: identifier, unit, priority, level prefix, three times forward.
		if _, err := conn.Write([]byte("chaos\n\n6\n1\n0\n0\n0\n")); err != nil {
			conn.Close()
			return err
		}
		d.keep = conn
	}
	conn, err := dialSocket(d.Socket())
	if err != nil {
		return err
	}
	conn.Close()
	return synchronize(ctx, d.Varlink())
}

// Socket is the path of the socket to log to, for DialWriter.
func (d *Daemon) Socket() string { return filepath.Join(d.runDir(), "socket") }

// LogDir is the directory of the journal files, for OpenDir.
func (d *Daemon) LogDir() string { return filepath.Join(d.dir, "log") }

// Varlink is the path of the varlink socket, for OpenDir and Rotate. Only this user may use it.
func (d *Daemon) Varlink() string { return filepath.Join(d.runDir(), "io.systemd.journal") }

// PID is the process id of journald.
func (d *Daemon) PID() int { return d.cmd.Process.Pid }

// Exited is closed when journald has ended, by Stop or otherwise.
func (d *Daemon) Exited() <-chan struct{} { return d.done }

// Stop ends journald after it has stored everything that was sent, and waits for its end. The
// journal remains and can be read. The error says if journald had already ended, or had to be
// killed. Further calls return the same.
func (d *Daemon) Stop() error {
	d.stop.Do(func() {
		d.stopErr = d.terminate()
		if d.keep != nil {
			_ = d.keep.Close()
		}
	})
	return d.stopErr
}

func (d *Daemon) terminate() error {
	select {
	case <-d.done:
		return fmt.Errorf("stop journald: it had already ended: %w%s", exitError(d.exit), d.said())
	default:
	}
	// An error means that it has just ended, which the wait below tells better.
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	timeout := time.NewTimer(stopTimeout)
	defer timeout.Stop()
	select {
	case <-d.done:
		if d.exit != nil {
			return fmt.Errorf("stop journald: %w%s", d.exit, d.said())
		}
		return nil
	case <-timeout.C:
	}
	_ = d.cmd.Process.Kill()
	<-d.done
	return fmt.Errorf("stop journald: it ignored SIGTERM for %v and was killed%s", stopTimeout, d.said())
}

func exitError(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

func (d *Daemon) runDir() string       { return filepath.Join(d.dir, "run") }
func (d *Daemon) stdoutSocket() string { return filepath.Join(d.runDir(), "stdout") }
func (d *Daemon) outputFile() string   { return filepath.Join(d.dir, "journald.out") }

// said returns what journald printed, for an error message.
func (d *Daemon) said() string {
	out, err := os.ReadFile(d.outputFile())
	if err != nil {
		return ""
	}
	return detail(string(out))
}
