package sandbox

import (
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// waited is what either has found.
type waited int

const (
	callReady waited = iota
	lifeEnded
	nobodyCame
)

// either returns when fd is readable, the lifeline hangs up, or limit is over; a negative limit is none.
func (in *boxInit) either(fd int, limit time.Duration) waited {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: -1}}
	if in.life > 0 {
		fds[1] = unix.PollFd{Fd: int32(in.life), Events: unix.POLLIN}
	}
	deadline := time.Now().Add(limit)
	for {
		wait := -1
		if limit >= 0 {
			wait = int(max(0, time.Until(deadline)).Milliseconds())
		}
		n, err := unix.Poll(fds, wait)
		switch {
		case err == unix.EINTR:
		case err != nil, fds[1].Revents != 0:
			return lifeEnded
		case n > 0:
			return callReady
		default:
			return nobodyCame
		}
	}
}

// awaitCaller waits for a caller after the last one has gone, and reports whether one came. What only the
// last caller could have asked for is given up.
func (in *boxInit) awaitCaller() bool {
	in.mu.Lock()
	unix.Close(int(in.conn))
	in.conn = -1
	for id := range in.execs {
		in.release(id)
	}
	in.mu.Unlock()
	if in.door <= 0 {
		return false
	}
	for deadline := time.Now().Add(in.linger); ; {
		if in.either(in.door, max(0, time.Until(deadline))) != callReady {
			return false
		}
		fd, _, err := unix.Accept4(in.door, unix.SOCK_CLOEXEC)
		if err != nil {
			continue // it has gone again
		}
		in.mu.Lock()
		in.conn = initConn(fd)
		in.mu.Unlock()
		return true
	}
}

// mark is the entry in the environment of the box's processes by which they can be found, "" if none.
func (in *boxInit) mark() string {
	for _, e := range in.env {
		if strings.HasPrefix(e, tokenEnv+"=") {
			return e
		}
	}
	return ""
}
