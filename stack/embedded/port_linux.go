package embedded

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// reserve keeps a free port of the loopback interface from everybody who does not ask for it by number, and
// returns its address. A service can listen there as often as it likes, and while none does callers are
// refused. The port is free again when the file is closed.
func reserve() (addr string, hold *os.File, err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", nil, fmt.Errorf("reserve port: %w", err)
	}
	hold = os.NewFile(uintptr(fd), "port")
	// Bound and not listening: with this option another socket may be bound there, too.
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	var name unix.Sockaddr
	if err == nil {
		name, err = unix.Getsockname(fd)
	}
	if err != nil {
		hold.Close()
		return "", nil, fmt.Errorf("reserve port: %w", err)
	}
	return fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port), hold, nil
}
