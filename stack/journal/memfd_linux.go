package journal

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// sendMemfd hands an entry of any size to journald as a memory file, sealed so that journald can
// rely on its content.
func sendMemfd(conn *net.UnixConn, entry []byte) error {
	fd, err := unix.MemfdCreate("log-entry", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return fmt.Errorf("create memory file: %w", err)
	}
	f := os.NewFile(uintptr(fd), "log-entry")
	defer f.Close()
	if _, err := f.Write(entry); err != nil {
		return fmt.Errorf("write memory file: %w", err)
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return fmt.Errorf("seal memory file: %w", err)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var sendErr error
	err = raw.Write(func(socket uintptr) bool { // WriteMsgUnix refuses connected datagram sockets
		for {
			sendErr = unix.Sendmsg(int(socket), nil, unix.UnixRights(fd), nil, unix.MSG_NOSIGNAL)
			if !errors.Is(sendErr, unix.EINTR) {
				return !errors.Is(sendErr, unix.EAGAIN)
			}
		}
	})
	if err == nil {
		err = os.NewSyscallError("sendmsg", sendErr)
	}
	return err
}

// trySend sends an entry if that is possible without waiting.
func trySend(conn *net.UnixConn, entry []byte) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var sendErr error
	err = raw.Write(func(socket uintptr) bool {
		for {
			sendErr = unix.Send(int(socket), entry, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
			if !errors.Is(sendErr, unix.EINTR) {
				return true
			}
		}
	})
	return errors.Join(err, sendErr)
}
