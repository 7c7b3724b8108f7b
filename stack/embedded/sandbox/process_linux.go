package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Process is one exec of a box. Its streams belong to the poller: deadlines and Close wake a
// blocked Read or Write.
//
// Output is never lost by waiting: what the exec wrote before it exited stays readable. The right
// order is therefore: wait for Exited, read each stream until ReadAvailable says ErrWouldBlock or
// io.EOF, only then Close. Do not wait for end of file instead: a background process of the exec
// may keep a stream open for as long as it lives. Pump does all of it.
type Process struct {
	// Stdin is the write end of the exec's standard input or, with a terminal, its master.
	Stdin *os.File
	// Stdout is the read end of the standard output or, with a terminal, the same master.
	Stdout *os.File
	// Stderr is nil with a terminal.
	Stderr *os.File
	// PID is the process id as the box sees it.
	PID int

	box    *Box
	id     uint64
	tty    bool
	exited chan struct{}
	code   int // set before exited is closed
	close  sync.Once
}

// Exec starts a command in the box. A *StartError says that the command could not start, ErrGone
// that the box died first. When ctx ends before the answer of the box, a command that did start
// is killed.
func (b *Box) Exec(ctx context.Context, spec Spec) (*Process, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if size(spec.Argv)+size(spec.Env) > maxArgs {
		return nil, errArgs
	}
	p := &Process{box: b, tty: spec.TTY, exited: make(chan struct{})}
	var theirs []int
	if !spec.TTY {
		var err error
		if theirs, err = p.openPipes(); err != nil {
			return nil, err
		}
	}
	a, err := b.ask(ctx, request{
		Op: opExec, Argv: toBytes(spec.Argv), Env: toBytes(spec.Env), Dir: []byte(spec.Dir),
		TTY: spec.TTY, Rows: spec.Rows, Cols: spec.Cols,
	}, theirs, p)
	closeAll(theirs)
	if err == nil && a.Kind != 0 {
		err = &StartError{Kind: a.Kind, Msg: a.Msg}
	}
	if err != nil {
		p.closeStreams()
		return nil, err
	}
	return p, nil
}

// maxArgs is more than Linux ever accepts for arguments and environment together.
const maxArgs = 6 << 20

var errArgs = &StartError{Kind: KindInvalid, Msg: "argument list too long"}

func size(list []string) int {
	n := 0
	for _, s := range list {
		n += len(s)
	}
	return n
}

// openPipes opens the three streams and returns the exec's ends of them. Those stay in blocking
// mode: programs do not expect anything else of their standard streams.
func (p *Process) openPipes() ([]int, error) {
	var theirs []int
	for i, ours := range []**os.File{&p.Stdin, &p.Stdout, &p.Stderr} {
		var fds [2]int
		if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
			closeAll(theirs)
			p.closeStreams()
			return nil, fmt.Errorf("open pipe: %w", err)
		}
		if i == 0 {
			slices.Reverse(fds[:])
		}
		theirs = append(theirs, fds[1])
		_ = unix.SetNonblock(fds[0], true)
		*ours = os.NewFile(uintptr(fds[0]), [...]string{"stdin", "stdout", "stderr"}[i])
	}
	return theirs, nil
}

// begin completes a process that has started.
func (p *Process) begin(pid int, fds []int) {
	p.PID = pid
	if p.tty {
		// The init opened it non-blocking, so the file joins the poller.
		p.Stdout = os.NewFile(uintptr(fds[0]), "ptmx")
		p.Stdin = p.Stdout
		fds = fds[1:]
	}
	closeAll(fds)
}

func (p *Process) finish(code int) {
	p.code = code
	close(p.exited)
}

// Exited is closed once the process has been waited for, or its box is dead.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// ExitCode is the exit code, 0 to 255; 128+N after signal N; 137 when the box died. It is -1
// until Exited is closed.
func (p *Process) ExitCode() int {
	if !p.hasExited() {
		return -1
	}
	return p.code
}

func (p *Process) hasExited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// Signal sends sig to the process itself and to no other. It is os.ErrProcessDone once the process
// has been waited for.
func (p *Process) Signal(sig syscall.Signal) error {
	if p.hasExited() {
		return os.ErrProcessDone
	}
	a, err := p.box.ask(context.Background(), request{Op: opSignal, Exec: p.id, Signal: int(sig)}, nil, nil)
	switch {
	case errors.Is(err, ErrGone), a.Done:
		return os.ErrProcessDone
	case err != nil:
		return fmt.Errorf("signal process: %w", err)
	case a.Kind != 0:
		return fmt.Errorf("signal process: %s", a.Msg)
	}
	return nil
}

// KillGroup sends SIGKILL to every process of the exec's session and to their descendants. A
// process that has left both (its parent is dead and it called setsid) is only ended with the box.
// It also works after the exit of the leader.
func (p *Process) KillGroup() error {
	a, err := p.box.ask(context.Background(), request{Op: opKillGroup, Exec: p.id, PID: p.PID}, nil, nil)
	switch {
	case errors.Is(err, ErrGone):
		return nil
	case err != nil:
		return fmt.Errorf("kill process group: %w", err)
	case a.Kind != 0:
		return fmt.Errorf("kill process group: %s", a.Msg)
	}
	return nil
}

// Resize sets the size of the terminal; the programs on it get SIGWINCH.
func (p *Process) Resize(rows, cols uint16) error {
	if !p.tty {
		return errors.New("resize terminal: process has none")
	}
	var ioctlErr error
	err := control(p.Stdout, func(fd int) {
		ioctlErr = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols})
	})
	if err = errors.Join(err, ioctlErr); err != nil {
		return fmt.Errorf("resize terminal: %w", err)
	}
	return nil
}

// Close closes the streams. It does not end the process, though a closed terminal hangs up on it.
// It may be called more than once.
func (p *Process) Close() {
	p.close.Do(func() {
		p.closeStreams()
		if p.tty {
			p.box.tell(request{Op: opRelease, Exec: p.id})
		}
	})
}

func (p *Process) closeStreams() {
	for _, f := range []*os.File{p.Stdin, p.Stdout, p.Stderr} {
		if f != nil {
			_ = f.Close() // the second close of a terminal's master says so and does nothing
		}
	}
}

// ReadAvailable reads what f holds at this moment, without waiting and whatever f's deadline. It
// returns ErrWouldBlock when nothing is there and io.EOF when nothing will come. No other
// goroutine may read f at the same time.
func ReadAvailable(f *os.File, buf []byte) (int, error) {
	var n int
	var readErr error
	err := control(f, func(fd int) {
		for {
			if n, readErr = unix.Read(fd, buf); readErr != unix.EINTR {
				return
			}
		}
	})
	switch {
	case err != nil:
		return 0, err
	case readErr == unix.EAGAIN:
		return 0, ErrWouldBlock
	case readErr == unix.EIO, readErr == nil && n == 0 && len(buf) > 0:
		return 0, io.EOF
	case readErr != nil:
		return 0, &os.PathError{Op: "read", Path: f.Name(), Err: readErr}
	}
	return n, nil
}

// Pump hands everything that arrives on f, which is p's Stdout or Stderr, to sink, in order. It
// returns nil at end of file, or when the process has exited and all it wrote has been handed
// over, even if a background process still has the stream open. It returns the error of Read
// otherwise: os.ErrClosed after Close. sink must not keep the slice. Pump uses f's read deadline.
func (p *Process) Pump(f *os.File, sink func([]byte)) error {
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-p.exited:
			_ = f.SetReadDeadline(time.Unix(1, 0))
		case <-done:
		}
	}()
	buf := make([]byte, 32<<10)
	for {
		n, err := f.Read(buf)
		if n > 0 {
			sink(buf[:n])
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF), errors.Is(err, unix.EIO):
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded) && p.hasExited():
			return drain(f, buf, sink)
		default:
			return err
		}
	}
}

// drain reads what an exited process left in f. No more than the kernel can hold was there at its
// exit, so a background process that never stops writing cannot keep drain busy for ever.
func drain(f *os.File, buf []byte, sink func([]byte)) error {
	limit, err := capacity(f)
	if err != nil {
		return err
	}
	for limit > 0 {
		n, err := ReadAvailable(f, buf)
		switch {
		case errors.Is(err, ErrWouldBlock), errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		sink(buf[:n])
		limit -= n
	}
	return nil
}

// capacity is how many bytes can wait in f: the size of the pipe, or more than any terminal holds.
func capacity(f *os.File) (int, error) {
	size := 64 << 10
	err := control(f, func(fd int) {
		if n, err := unix.FcntlInt(uintptr(fd), unix.F_GETPIPE_SZ, 0); err == nil {
			size = n
		}
	})
	return size, err
}

// control runs a system call on f's descriptor, which stays open and in the poller meanwhile.
func control(f *os.File, call func(fd int)) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	if raw.Control(func(fd uintptr) { call(int(fd)) }) != nil {
		return os.ErrClosed // the only way to fail, but the error of package os is no os.ErrClosed
	}
	return nil
}
