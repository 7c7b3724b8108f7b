package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"chaos/stack/embedded/child"
)

func init() { child.Register(role, initMain) }

// initSocket is the descriptor of the init's end of the socketpair.
const initSocket = 3

// boxInit is the init of a box. Three things happen in it: the main goroutine serves requests on a
// thread of its own, one goroutine reaps, and signals are swallowed.
type boxInit struct {
	conn initConn // of the present caller, -1 while there is none
	mode Mode
	dir  string // Config.Dir, for Plain mode
	env  []string

	door   int // socket at which another caller may come; 0 = none
	life   int // ends the box when it hangs up; 0 = none
	linger time.Duration
	last   uint64 // the greatest request number

	// mu covers fork, wait4, kill and the sending of replies: no process is reaped before it is
	// registered or while it is being signalled, and "started" is sent before "exited".
	mu      sync.Mutex
	started *sync.Cond        // a child was started
	execs   map[uint64]*entry // by request number of the exec
	running map[int]uint64    // by process id: execs that have not been waited for
}

// entry is an exec that runs, or whose terminal is still held open.
type entry struct {
	pid   int
	slave int // our own descriptor of its terminal's slave; -1 = none
	done  bool
}

func initMain([]string) int {
	// Everything that starts a process must run on this thread: the limits set on it are
	// per-thread, and a child inherits those of the thread that forked it.
	runtime.LockOSThread()
	keepDescriptors()
	in := &boxInit{conn: initSocket, execs: map[uint64]*entry{}, running: map[int]uint64{}}
	in.started = sync.NewCond(&in.mu)
	swallowSignals()

	buf := make([]byte, maxPacket+1)
	r, fds, err := in.conn.receive(buf)
	closeAll(fds)
	if err != nil || r.Op != opSetup {
		fmt.Fprintln(os.Stderr, "boxinit: no set-up request:", err)
		return 1
	}
	if err := in.setUp(r); err != nil {
		_ = in.conn.send(reply{Seq: r.Seq, Kind: KindOther, Msg: err.Error()}, nil)
		return 1
	}
	if err := in.conn.send(reply{Seq: r.Seq}, nil); err != nil {
		return 1
	}
	go in.reap()
	for in.serve(buf) && in.awaitCaller() {
	}
	if in.mode == Plain {
		in.mu.Lock() // nothing starts and nothing else reaps from here on
		if err := killDescendants(); err != nil {
			fmt.Fprintln(os.Stderr, "boxinit:", err)
			return 1 // the caller looks for what is left
		}
	}
	// With namespaces, the exit of PID 1 ends every process of the box.
	return 0
}

// keepDescriptors keeps the socket, and whatever else the caller's own parent left open, from the
// execs.
func keepDescriptors() {
	unix.CloseOnExec(initSocket)
	open, _ := os.ReadDir("/proc/self/fd")
	for _, e := range open {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
}

// swallowSignals makes the init immune to signals a box sends to its PID 1. They are caught and
// dropped, not ignored: an ignored signal would stay ignored in every exec.
func swallowSignals() {
	list := make([]os.Signal, 0, 64)
	for n := 1; n <= 64; n++ {
		switch s := syscall.Signal(n); s {
		// The runtime's own, those that cannot be caught, and the thread library's.
		case syscall.SIGCHLD, syscall.SIGURG, syscall.SIGPROF, syscall.SIGKILL, syscall.SIGSTOP, 32, 33, 34:
		default:
			list = append(list, s)
		}
	}
	signal.Notify(make(chan os.Signal, 1), list...)
}

func (in *boxInit) setUp(r request) error {
	in.mode, in.dir = r.Mode, string(r.Dir)
	in.door, in.life, in.linger = r.Listener, r.Lifeline, r.Linger
	for _, e := range r.Env {
		in.env = append(in.env, string(e))
	}
	unix.Umask(0o022)
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("limit core size: %w", err)
	}
	if in.mode == Plain {
		if err := in.setUpPlain(); err != nil {
			return err
		}
	} else {
		if err := enterRoot(in.dir, r.Hostname, in.mode == UserNamespaces); err != nil {
			return err
		}
		if err := unix.Sethostname([]byte(r.Hostname)); err != nil {
			return fmt.Errorf("set host name: %w", err)
		}
		if err := loopbackUp(); err != nil {
			return err
		}
		if err := dropBounding(); err != nil {
			return err
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set no_new_privs: %w", err)
	}
	return nil
}

func (in *boxInit) setUpPlain() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become subreaper: %w", err)
	}
	tmp := filepath.Join(in.dir, "tmp")
	if err := errors.Join(os.RemoveAll(tmp), os.Mkdir(tmp, 0o755)); err != nil {
		return fmt.Errorf("empty box /tmp: %w", err)
	}
	return nil
}

// keptCaps are the capabilities that root has inside a box: what package managers, chown, su and
// the like need. None of them reaches the kernel, devices, mounts or other boxes.
var keptCaps = map[uintptr]bool{
	unix.CAP_CHOWN: true, unix.CAP_DAC_OVERRIDE: true, unix.CAP_FOWNER: true, unix.CAP_FSETID: true,
	unix.CAP_KILL: true, unix.CAP_SETGID: true, unix.CAP_SETUID: true, unix.CAP_SETPCAP: true,
	unix.CAP_NET_BIND_SERVICE: true, unix.CAP_SYS_CHROOT: true, unix.CAP_SETFCAP: true,
}

// dropBounding takes every other capability from whatever this thread will start. The init keeps
// its own.
func dropBounding() error {
	for c := uintptr(0); c < 64; c++ {
		if keptCaps[c] {
			continue
		}
		err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		if err == unix.EINVAL || err == unix.EPERM {
			return nil // one past the last capability of this kernel, or not allowed to drop any
		}
		if err != nil {
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	return nil
}

// serve handles the requests of a caller and reports whether the box should go on without it.
func (in *boxInit) serve(buf []byte) bool {
	for {
		if in.life > 0 && in.either(int(in.conn), -1) != callReady {
			return false
		}
		r, fds, err := in.conn.receive(buf)
		if err != nil {
			return true
		}
		in.mu.Lock()
		in.last = max(in.last, r.Seq)
		switch r.Op {
		case opExec:
			err = in.exec(r, fds)
		case opSignal:
			err = in.signal(r)
		case opKillGroup:
			err = in.killGroup(r)
		case opRelease:
			in.release(r.Exec)
		case opAdopt:
			err = in.conn.send(reply{Seq: r.Seq, Last: in.last, Mode: in.mode, Mark: in.mark()}, nil)
		}
		in.mu.Unlock()
		closeAll(fds)
		if r.Op == opQuit {
			return false
		}
		if err != nil {
			return true
		}
	}
}

// reap waits for children and reports the ends of execs. Waiting with WNOWAIT leaves the child a
// zombie until mu is held, so that its pid cannot be given to another process meanwhile.
func (in *boxInit) reap() {
	for {
		err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOWAIT, nil)
		in.mu.Lock()
		switch {
		case err == unix.ECHILD && len(in.running) == 0:
			// Every process of the box descends from an exec, so there is none.
			in.started.Wait()
		case err == nil || err == unix.ECHILD:
			in.collect()
		}
		in.mu.Unlock()
	}
}

// collect waits for every child that has ended.
func (in *boxInit) collect() {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		id, ok := in.running[pid]
		if !ok {
			continue // an orphan
		}
		delete(in.running, pid)
		if e := in.execs[id]; e.slave >= 0 {
			e.done = true
		} else {
			delete(in.execs, id)
		}
		// A failed send means that the caller is gone; serve sees that too.
		_ = in.conn.send(reply{Seq: id, Exit: true, Code: exitCode(status)}, nil)
	}
}

func exitCode(s unix.WaitStatus) int {
	if s.Signaled() {
		return 128 + int(s.Signal())
	}
	return s.ExitStatus()
}

func (in *boxInit) signal(r request) error {
	a := reply{Seq: r.Seq}
	if e := in.execs[r.Exec]; e == nil || e.done {
		a.Done = true
	} else if err := unix.Kill(e.pid, unix.Signal(r.Signal)); err != nil {
		a.Kind, a.Msg = KindOther, err.Error()
	}
	return in.conn.send(a, nil)
}

// killGroup ends an exec's session. After the exit of the leader its pid still names the session
// while a member lives, unless it has been given to a newer exec.
func (in *boxInit) killGroup(r request) error {
	a := reply{Seq: r.Seq}
	if owner, ok := in.running[r.PID]; r.PID > 0 && (!ok || owner == r.Exec) {
		if err := killSession(r.PID); err != nil {
			a.Kind, a.Msg = KindOther, err.Error()
		}
	}
	return in.conn.send(a, nil)
}

// release closes our descriptor of an exec's terminal. It was held so that the master does not
// report its end while somebody reads the rest.
func (in *boxInit) release(id uint64) {
	e := in.execs[id]
	if e == nil || e.slave < 0 {
		return
	}
	unix.Close(e.slave)
	e.slave = -1
	if e.done {
		delete(in.execs, id)
	}
}
