package journal

// waitCalls are the numbers of the system calls in which journald waits: epoll_wait, epoll_pwait, epoll_pwait2.
var waitCalls = []string{"232", "281", "441"}
