package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Mode says how a box is kept apart from the machine.
type Mode int

const (
	// Namespaces is for root: new pid, mount, uts, ipc and network namespaces.
	Namespaces Mode = iota
	// UserNamespaces is the same plus a user namespace, for anybody.
	UserNamespaces
	// Plain has no isolation: the processes of a box see the machine and each other, and one that
	// kills everything its user may kill also kills its own box. Killing the box still gets all.
	Plain
)

// String names the mode for people.
func (m Mode) String() string {
	switch m {
	case Namespaces:
		return "namespaces"
	case UserNamespaces:
		return "user namespaces"
	case Plain:
		return "no isolation"
	}
	return fmt.Sprintf("mode %d", int(m))
}

// Config describes one box.
type Config struct {
	// Dir is the private directory of this box on the host. Start creates it if it is missing.
	// It holds what outlives the box, and must not be used by two running boxes at once.
	Dir string
	// Hostname is the box's host name; "" = "box". Ignored in Plain mode.
	Hostname string
	// Mode must be one the machine allows; Probe finds it.
	Mode Mode
	// Env ("KEY=value") is put into the environment of the init and of every exec.
	Env []string
	// Linger is how long the box waits for somebody to Adopt it when its caller has gone; 0 = it ends at
	// once.
	Linger time.Duration
	// Lifeline, if not nil, is the read end of a pipe to which nobody writes: the box ends when the last
	// write end is closed, whatever else it waits for. Start leaves the file open.
	Lifeline *os.File
}

// Spec describes one exec.
type Spec struct {
	// Argv is the command and its arguments. Argv[0] without a slash is looked up in the PATH of
	// the exec's own environment, inside the box.
	Argv []string
	// Env ("KEY=value") is merged over Config.Env; together they are the whole environment.
	Env []string
	// Dir is the working directory as the box sees it; "" = "/root".
	Dir string
	// TTY gives the exec a pseudo-terminal of the box as its controlling terminal.
	TTY bool
	// Rows and Cols are the terminal's first size; 0 = 24 and 80.
	Rows, Cols uint16
}

// Errors of boxes and streams.
var (
	// ErrGone means that the box died before the request was answered.
	ErrGone = errors.New("box is gone")
	// ErrWouldBlock means that a stream is open but has nothing to read at this moment.
	ErrWouldBlock = errors.New("nothing to read yet")
	// ErrUnsupported means that this operating system cannot run boxes.
	ErrUnsupported = errors.New("boxes need Linux")
)

// Kind classifies a StartError.
type Kind int

const (
	// KindOther is the machine's fault: no memory, no process slot, no file descriptor.
	KindOther Kind = iota + 1
	// KindNotFound is a missing executable, or one whose interpreter is missing.
	KindNotFound
	// KindBadDir is a working directory that is missing, no directory, or closed to the exec.
	KindBadDir
	// KindPermission is a file that exists and may not be executed.
	KindPermission
	// KindInvalid is a command that no process can have: empty, with a NUL byte, too long, or in a
	// format the kernel does not execute.
	KindInvalid
)

// StartError says why an exec did not start. Nothing of it runs.
type StartError struct {
	Kind Kind
	Msg  string
}

// Error returns the message for the caller of the API.
func (e *StartError) Error() string { return e.Msg }

// keptDirs are the directories of a box that live under Config.Dir and outlive it.
var keptDirs = []string{"root", "home", "workspace", "var", "srv"}

// exitKilled is the exit code of an exec whose box died.
const exitKilled = 128 + 9

func (c Config) check() error {
	if !filepath.IsAbs(c.Dir) {
		return fmt.Errorf("box directory %q is not absolute", c.Dir)
	}
	if c.Mode < Namespaces || c.Mode > Plain {
		return fmt.Errorf("unknown sandbox %v", c.Mode)
	}
	return nil
}
