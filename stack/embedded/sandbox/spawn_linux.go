package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// exec starts a command and answers the request. The caller holds mu. The error is that of the
// socket.
func (in *boxInit) exec(r request, fds []int) error {
	e, master, err := in.spawn(r, fds)
	if err != nil {
		return in.conn.send(reply{Seq: r.Seq, Kind: err.Kind, Msg: err.Msg}, nil)
	}
	in.execs[r.Seq] = e
	in.running[e.pid] = r.Seq
	in.started.Signal()
	var out []int
	if master >= 0 {
		out = []int{master}
		defer unix.Close(master)
	}
	return in.conn.send(reply{Seq: r.Seq, PID: e.pid}, out)
}

func (in *boxInit) spawn(r request, fds []int) (e *entry, master int, fail *StartError) {
	env := mergeEnv(in.env, r.Env)
	argv := make([]string, len(r.Argv))
	for i, a := range r.Argv {
		argv[i] = string(a)
	}
	if len(argv) == 0 {
		return nil, -1, &StartError{KindInvalid, "empty command"}
	}
	shown := string(r.Dir)
	if shown == "" {
		shown = "/root"
	}
	dir := in.hostDir(shown)
	if fail := checkDir(dir, shown); fail != nil {
		return nil, -1, fail
	}
	path, fail := lookUp(argv[0], dir, env)
	if fail != nil {
		return nil, -1, fail
	}
	attr := &syscall.ProcAttr{Dir: dir, Env: env, Sys: &syscall.SysProcAttr{Setsid: true}}
	slave := -1
	if r.TTY {
		var err error
		if master, slave, err = openPTY(r.Rows, r.Cols); err != nil {
			return nil, -1, &StartError{KindOther, "open terminal: " + err.Error()}
		}
		fds = []int{slave, slave, slave}
		attr.Sys.Setctty = true
	} else {
		master = -1
	}
	if len(fds) != 3 {
		return nil, -1, &StartError{KindOther, "too many open files"}
	}
	attr.Files = []uintptr{uintptr(fds[0]), uintptr(fds[1]), uintptr(fds[2])}
	pid, err := syscall.ForkExec(path, argv, attr)
	if err != nil {
		if r.TTY {
			closeAll([]int{master, slave})
		}
		return nil, -1, startError(err, argv[0], dir, shown)
	}
	return &entry{pid: pid, slave: slave}, master, nil
}

// hostDir is where the box's directory dir really is: in Plain mode the box's own directories are
// below Config.Dir.
func (in *boxInit) hostDir(dir string) string {
	dir = filepath.Join("/", dir)
	if in.mode != Plain {
		return dir
	}
	for _, own := range append([]string{"tmp"}, keptDirs...) {
		if rest, ok := strings.CutPrefix(dir, "/"+own); ok && (rest == "" || rest[0] == '/') {
			return filepath.Join(in.dir, dir)
		}
	}
	return dir
}

func checkDir(dir, shown string) *StartError {
	fi, err := os.Stat(dir)
	switch {
	case err != nil && os.IsPermission(err):
		return &StartError{KindBadDir, fmt.Sprintf("working directory '%s' is not accessible", shown)}
	case err != nil:
		return &StartError{KindBadDir, fmt.Sprintf("working directory '%s' does not exist", shown)}
	case !fi.IsDir():
		return &StartError{KindBadDir, fmt.Sprintf("working directory '%s' is not a directory", shown)}
	case unix.Access(dir, unix.X_OK) != nil:
		return &StartError{KindBadDir, fmt.Sprintf("working directory '%s' is not accessible", shown)}
	}
	return nil
}

// lookUp finds the file to execute, the way a shell does: a name without a slash in each directory
// of PATH, relative ones counted from the working directory.
func lookUp(name, dir string, env []string) (string, *StartError) {
	if strings.Contains(name, "/") {
		return name, checkExecutable(name, dir)
	}
	path := defaultPath
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, "PATH="); ok {
			path = v
		}
	}
	var denied *StartError
	for _, d := range filepath.SplitList(path) {
		if d == "" {
			d = "."
		}
		// Not Join: it would turn "./x" into "x".
		file := d + "/" + name
		fail := checkExecutable(file, dir)
		if fail == nil && name != "" {
			return file, nil
		}
		if fail != nil && fail.Kind == KindPermission {
			denied = fail
		}
	}
	if denied != nil && name != "" {
		return "", denied
	}
	return "", &StartError{KindNotFound, fmt.Sprintf("executable '%s' not found in $PATH", name)}
}

func checkExecutable(file, dir string) *StartError {
	abs := file
	if !filepath.IsAbs(abs) {
		abs = filepath.Join(dir, file)
	}
	fi, err := os.Stat(abs)
	switch {
	case err != nil && os.IsPermission(err):
		return &StartError{KindPermission, fmt.Sprintf("executable '%s': permission denied", file)}
	case err != nil:
		return &StartError{KindNotFound, fmt.Sprintf("executable '%s' not found", file)}
	case fi.IsDir():
		return &StartError{KindPermission, fmt.Sprintf("executable '%s' is a directory", file)}
	case unix.Access(abs, unix.X_OK) != nil:
		return &StartError{KindPermission, fmt.Sprintf("executable '%s': permission denied", file)}
	}
	return nil
}

// startError explains a failed fork or exec. The checks before it found nothing wrong, so an
// ENOENT is a missing interpreter, or something that vanished in between.
func startError(err error, name, dir, shown string) *StartError {
	if fail := checkDir(dir, shown); fail != nil {
		return fail
	}
	kind := KindOther
	switch err {
	case unix.ENOENT, unix.ENOTDIR, unix.ELOOP:
		kind = KindNotFound
	case unix.EACCES, unix.EPERM:
		kind = KindPermission
	case unix.EINVAL, unix.E2BIG, unix.ENOEXEC, unix.ENAMETOOLONG:
		kind = KindInvalid
	}
	return &StartError{kind, fmt.Sprintf("executable '%s': %v", name, err)}
}

// mergeEnv lays over over base; of several values for one name the last one stays.
func mergeEnv(base []string, over [][]byte) []string {
	all := append([]string(nil), base...)
	for _, e := range over {
		all = append(all, string(e))
	}
	at := make(map[string]int, len(all))
	out := all[:0]
	for _, e := range all {
		name, _, _ := strings.Cut(e, "=")
		if i, ok := at[name]; ok {
			out[i] = e
			continue
		}
		at[name] = len(out)
		out = append(out, e)
	}
	return out
}

// openPTY opens a pseudo-terminal of the box. The master is non-blocking, for the poller of the
// process it is sent to; the slave is not, for the exec.
func openPTY(rows, cols uint16) (master, slave int, err error) {
	if rows == 0 {
		rows = 24
	}
	if cols == 0 {
		cols = 80
	}
	const flags = unix.O_RDWR | unix.O_NOCTTY | unix.O_CLOEXEC
	if master, err = unix.Open("/dev/ptmx", flags|unix.O_NONBLOCK, 0); err != nil {
		return -1, -1, err
	}
	if err = unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err == nil {
		err = unix.IoctlSetWinsize(master, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols})
	}
	if err != nil {
		unix.Close(master)
		return -1, -1, err
	}
	// The slave is asked of the master, so that no path can lead to another devpts.
	fd, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(master), unix.TIOCGPTPEER, flags)
	if errno != 0 {
		unix.Close(master)
		return -1, -1, errno
	}
	return master, int(fd), nil
}
