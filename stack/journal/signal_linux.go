package journal

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// journald's varlink interface serves root only. A plain user who runs a journald can reach it by
// signals instead: journald does what the signal asks for, and then writes the time into a file in
// its run-time directory.
const (
	sigSync   = syscall.Signal(35) // SIGRTMIN+1 of glibc
	sigRotate = syscall.SIGUSR2

	stampSync   = "synced"
	stampRotate = "rotated"
)

// signalSync is the barrier by signal. The stamp tells when a synchronization ended, not when it
// began: the first one seen may have begun, for someone else, before this call. A second one after
// it has begun after the end of the first, and so after everything that was sent before this call.
func signalSync(ctx context.Context, varlink string) error {
	for range 2 {
		if err := signalJournald(ctx, varlink, sigSync, stampSync); err != nil {
			return err
		}
	}
	return nil
}

func signalRotate(ctx context.Context, varlink string) error {
	return signalJournald(ctx, varlink, sigRotate, stampRotate)
}

// signalJournald sends sig to the journald behind the varlink socket and waits for a stamp that is
// younger than the signal.
func signalJournald(ctx context.Context, varlink string, sig syscall.Signal, stamp string) error {
	pid, err := listenerPID(ctx, varlink)
	if err != nil {
		return fmt.Errorf("find journald: %w", err)
	}
	p, err := os.FindProcess(pid) // from here on pid cannot become another process
	if err != nil {
		return fmt.Errorf("find journald: %w", err)
	}
	defer func() { _ = p.Release() }()
	if err := awaitsSignal(pid, sig); err != nil {
		return err
	}
	start, err := monotonic()
	if err != nil {
		return err
	}
	if err := p.Signal(sig); err != nil {
		return fmt.Errorf("signal journald: %w", err)
	}
	tick := time.NewTicker(500 * time.Microsecond)
	defer tick.Stop()
	for {
		at, err := readStamp(filepath.Join(filepath.Dir(varlink), stamp))
		if err != nil {
			return err
		}
		if at > start { // a stamp of the same microsecond may be older
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for journald: %w", ctx.Err())
		case <-tick.C:
		}
		if err := p.Signal(syscall.Signal(0)); err != nil {
			return fmt.Errorf("wait for journald: %w", err)
		}
	}
}

// listenerPID returns the process that listens on a stream socket.
func listenerPID(ctx context.Context, path string) (int, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if credErr != nil {
		return 0, os.NewSyscallError("getsockopt", credErr)
	}
	if cred.Pid <= 1 {
		return 0, errors.New("it is not a process of this user")
	}
	return int(cred.Pid), nil
}

// awaitsSignal makes sure that pid is a journald that takes sig through its event loop. Anything
// else would be killed by it.
func awaitsSignal(pid int, sig syscall.Signal) error {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return fmt.Errorf("find journald: %w", err)
	}
	var name, blocked string
	for lines := bufio.NewScanner(bytes.NewReader(status)); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), ":")
		switch key {
		case "Name":
			name = strings.TrimSpace(value)
		case "SigBlk":
			blocked = strings.TrimSpace(value)
		}
	}
	if !strings.HasPrefix(name, "systemd-journal") {
		return fmt.Errorf("signal journald: process %d is %q", pid, name)
	}
	mask, err := strconv.ParseUint(blocked, 16, 64)
	if err != nil || mask&(1<<(sig-1)) == 0 {
		return fmt.Errorf("signal journald: process %d does not wait for signal %d", pid, sig)
	}
	return nil
}

// readStamp returns the time in a stamp file, 0 if there is none yet.
func readStamp(path string) (uint64, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read stamp: %w", err)
	}
	at, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read stamp %s: %w", path, err)
	}
	return at, nil
}

// monotonic is the clock of the stamps, in microseconds.
func monotonic() (uint64, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0, fmt.Errorf("read clock: %w", err)
	}
	return uint64(ts.Nano() / 1000), nil
}
