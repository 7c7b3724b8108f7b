package journal

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"
)

// errRefused is what varlinkCall reports when journald hangs up at once: it serves root only.
var errRefused = errors.New("journald refuses this user")

// synchronize asks journald to take in everything that has been sent to it and to write it out.
// It is an exact barrier: journald serves its log sockets before such a request.
func synchronize(ctx context.Context, varlink string) error {
	if varlink == "" {
		return errors.New("sync journal: no varlink socket is known, so there is no barrier")
	}
	err := varlinkCall(ctx, varlink, "io.systemd.Journal.Synchronize")
	if errors.Is(err, errRefused) {
		err = signalSync(ctx, varlink)
	}
	if err != nil {
		return fmt.Errorf("sync journal: %w", err)
	}
	return nil
}

// Rotate makes the journald behind the varlink socket archive its files and begin new ones. It
// must cost readers nothing, which makes it a cheap fault.
func Rotate(ctx context.Context, varlink string) error {
	err := varlinkCall(ctx, varlink, "io.systemd.Journal.Rotate")
	if errors.Is(err, errRefused) {
		err = signalRotate(ctx, varlink)
	}
	if err != nil {
		return fmt.Errorf("rotate journal: %w", err)
	}
	return nil
}

// varlinkCall calls a method without parameters. A varlink message is a JSON object and a NUL.
func varlinkCall(ctx context.Context, path, method string) error {
	if err := checkSocketPath(path); err != nil {
		return err
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return fmt.Errorf("dial varlink: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := fmt.Fprintf(conn, "{\"method\":%q}\x00", method); err != nil {
		return fmt.Errorf("call %s: %w", method, hangup(ctx, 0, err))
	}
	reply, err := bufio.NewReader(conn).ReadBytes(0)
	if err != nil {
		return fmt.Errorf("call %s: %w", method, hangup(ctx, len(reply), err))
	}
	var answer struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal(bytes.TrimSuffix(reply, []byte{0}), &answer); err != nil {
		return fmt.Errorf("call %s: parse reply: %w", method, err)
	}
	if answer.Error != "" {
		return fmt.Errorf("call %s: %s", method, answer.Error)
	}
	return nil
}

// hangup says why a call ended without a reply.
func hangup(ctx context.Context, received int, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if received == 0 && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)) {
		return errRefused
	}
	return err
}

// maxSocketPath is what sockaddr_un holds next to the final NUL.
const maxSocketPath = 107

// checkSocketPath turns the system's "invalid argument" into an explanation.
func checkSocketPath(path string) error {
	if len(path) > maxSocketPath {
		return fmt.Errorf("socket path is %d bytes long, the system allows %d: %s", len(path), maxSocketPath, path)
	}
	return nil
}
