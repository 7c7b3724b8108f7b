package child

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// How long Listen waits for an address to become free, and how often it looks.
const (
	listenPatience = 3 * time.Second
	listenTick     = 20 * time.Millisecond
)

// Listen returns a TCP listener at addr, host:port; "" is a free port of the loopback interface. An
// address that is in use is waited for, a moment: its last user may be about to end.
func Listen(addr string) (net.Listener, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	for deadline := time.Now().Add(listenPatience); ; time.Sleep(listenTick) {
		ln, err := net.Listen("tcp", addr)
		if err == nil {
			return ln, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) || time.Now().After(deadline) {
			return nil, fmt.Errorf("listen: %w", err)
		}
	}
}
