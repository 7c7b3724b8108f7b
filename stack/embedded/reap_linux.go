package embedded

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// adoptOrphans makes this process the parent of all whose parent in the stack dies: the inits of boxes of
// a runner that was killed. Somebody must take note of their end, and the machine's own init may be a
// program that does not.
func adoptOrphans() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become subreaper: %w", err)
	}
	return nil
}

// reapLoop takes note of the ends of orphans until stop is closed.
func (k *keeper) reapLoop(stop <-chan struct{}) {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	defer signal.Stop(ended)
	for {
		select {
		case <-stop:
			return
		case <-ended:
			k.reap()
		}
	}
}

// reap waits for the children that have ended and that nobody else waits for.
func (k *keeper) reap() {
	k.spawn.Lock()
	defer k.spawn.Unlock()
	own := []int{}
	for _, p := range k.processes() {
		own = append(own, p.PID())
	}
	for _, pid := range children() {
		if !slices.Contains(own, pid) {
			_, _ = syscall.Wait4(pid, nil, syscall.WNOHANG, nil) // it may live on
		}
	}
}

// children returns the children of this process, dead ones included.
func children() []int {
	files, _ := filepath.Glob("/proc/self/task/*/children")
	var out []int
	for _, f := range files {
		text, _ := os.ReadFile(f) // a thread that has ended has none
		for _, word := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(word); err == nil {
				out = append(out, pid)
			}
		}
	}
	return out
}
