package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// doorName is the socket in Config.Dir at which a box that lingers can be reached.
const doorName = "init.sock"

// Adopt takes over the running box of dir, which was started with Linger and whose caller is gone. Execs of
// that caller go on, but nobody hears of them any more; Kill ends them, too. ErrGone says that no box
// runs there, and none is about to: one whose caller died before it was up has ended. ctx bounds the wait for
// the box's answer, which does not come while its caller lives.
func Adopt(ctx context.Context, dir string) (*Box, error) {
	conn, err := knock(dir)
	if err != nil {
		return nil, fmt.Errorf("adopt box: %w", err)
	}
	b := &Box{
		conn: conn, calls: map[uint64]*call{}, procs: map[uint64]*Process{},
		readDone: make(chan struct{}), gone: make(chan struct{}),
	}
	if err := b.takeOver(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("adopt box: %w", err)
	}
	go b.read()
	go b.wait()
	return b, nil
}

// doorPath calls f with a short path of the door of dir: a socket's path must not be long.
func doorPath(dir string, f func(path string) error) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return f("/proc/self/fd/" + strconv.Itoa(int(d.Fd())) + "/" + doorName)
}

// doorQueue is how many callers may wait at the door of a box.
const doorQueue = 8

// bindDoor returns the socket of a new door. Only the init keeps it, so from the first moment on whoever
// knocks hears of the init, or of its end.
func bindDoor(dir string) (*os.File, error) {
	if err := os.Remove(filepath.Join(dir, doorName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove old socket of box: %w", err)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open socket of box: %w", err)
	}
	err = doorPath(dir, func(path string) error { return unix.Bind(fd, &unix.SockaddrUnix{Name: path}) })
	if err == nil {
		err = unix.Listen(fd, doorQueue)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("bind socket of box: %w", err)
	}
	return os.NewFile(uintptr(fd), "door"), nil
}

// knock connects to the door of dir.
func knock(dir string) (callerConn, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return callerConn{}, fmt.Errorf("open socket: %w", err)
	}
	f := os.NewFile(uintptr(fd), "caller")
	defer f.Close()
	err = doorPath(dir, func(path string) error { return unix.Connect(fd, &unix.SockaddrUnix{Name: path}) })
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ECONNREFUSED) {
		return callerConn{}, ErrGone
	}
	if err != nil {
		return callerConn{}, fmt.Errorf("connect to box: %w", err)
	}
	c, err := net.FileConn(f)
	if err != nil {
		return callerConn{}, fmt.Errorf("connect to box: %w", err)
	}
	return callerConn{c.(*net.UnixConn)}, nil
}

// takeOver introduces a new caller to the init and finds out which process that is.
func (b *Box) takeOver(ctx context.Context) error {
	if err := passCredentials(b.conn); err != nil {
		return err
	}
	// The sender of an answer is known by its process id, which may be somebody else's by the time it is looked
	// up. If it answers once more after that, it was not.
	r, err := b.hello(ctx)
	if err != nil {
		return err
	}
	init, err := openInit(r.sender)
	if err != nil {
		return err
	}
	if r, err = b.hello(ctx); err != nil {
		init.file.Close()
		return err
	}
	b.init, b.mode, b.token, b.seq = init, r.Mode, r.Mark, r.Last
	return nil
}

func (b *Box) hello(ctx context.Context) (reply, error) {
	r, err := b.greet(ctx, request{Op: opAdopt})
	if err != nil && ctx.Err() == nil {
		err = ErrGone // it ended meanwhile
	}
	return r, err
}

// passCredentials has every packet that c receives tell who sent it.
func passCredentials(c callerConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var setErr error
	err = raw.Control(func(fd uintptr) { setErr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1) })
	if err = errors.Join(err, setErr); err != nil {
		return fmt.Errorf("ask for credentials: %w", err)
	}
	return nil
}

func openInit(pid int) (otherInit, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		return otherInit{}, ErrGone
	}
	if err != nil {
		return otherInit{}, fmt.Errorf("find init %d: %w", pid, err)
	}
	return otherInit{id: pid, file: os.NewFile(uintptr(fd), "init")}, nil
}

// initProcess is the process of an init.
type initProcess interface {
	pid() int
	// signal does nothing when the process has ended.
	signal(syscall.Signal)
	// wait returns when the process has ended, and reports whether it is known to have left nothing.
	wait() bool
}

// ownInit is a child of ours.
type ownInit struct{ cmd *exec.Cmd }

func (i ownInit) pid() int                { return i.cmd.Process.Pid }
func (i ownInit) signal(s syscall.Signal) { _ = i.cmd.Process.Signal(s) }
func (i ownInit) wait() bool              { return i.cmd.Wait() == nil }

// otherInit is somebody else's child, held by a descriptor that is readable once it has ended.
type otherInit struct {
	id   int
	file *os.File
}

func (i otherInit) pid() int { return i.id }

func (i otherInit) signal(s syscall.Signal) {
	_ = control(i.file, func(fd int) { _ = unix.PidfdSendSignal(fd, s, nil, 0) })
}

func (i otherInit) wait() bool {
	defer i.file.Close()
	raw, err := i.file.SyscallConn()
	if err == nil {
		_ = raw.Read(func(fd uintptr) bool {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
			return n > 0 || err != nil && err != unix.EINTR
		})
	}
	return false // its exit status is its parent's
}
