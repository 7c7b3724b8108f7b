//go:build linux && !amd64

package journal

// waitCalls are the numbers of the system calls in which journald waits: epoll_pwait, epoll_pwait2, as most
// architectures number them.
var waitCalls = []string{"22", "441"}
