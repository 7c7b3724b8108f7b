package api

import (
	"fmt"
	"syscall"
)

// localAttr makes a command the leader of its own group that does not outlive this process.
func localAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func killGroup(pid int) error {
	if err := syscall.Kill(-pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill process group: %w", err)
	}
	return nil
}
