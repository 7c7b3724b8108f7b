package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// The caller and the init speak in packets over a SOCK_SEQPACKET socketpair: one tag byte and one
// JSON value each, file descriptors beside them. A packet must fit the socket's send buffer, so a
// long value travels in a memfd, as the last descriptor of a packet that holds only the tag.
const (
	tagInline = 'J'
	tagMemfd  = 'M'

	maxPacket = 32 << 10
	// maxMessage bounds one request. The kernel refuses commands far below it.
	maxMessage = 16 << 20
	// maxFDs is what one packet may carry: three streams and a memfd.
	maxFDs = 4
)

var errTooLong = errors.New("message too long")

type op string

const (
	opSetup     op = "setup"
	opExec      op = "exec"
	opSignal    op = "signal"
	opKillGroup op = "killgroup"
	// opRelease tells the init that nobody reads an exec's terminal any more. It has no answer.
	opRelease op = "release"
	// opAdopt is the first request of a caller that takes the box over. It is answered like opSetup.
	opAdopt op = "adopt"
	// opQuit ends the box. It has no answer.
	opQuit op = "quit"
)

// request goes to the init. Strings that become arguments of system calls are []byte: JSON would
// replace what is not UTF-8.
type request struct {
	Op  op     `json:"op"`
	Seq uint64 `json:"seq"`
	// Exec is the request number of the exec that is meant.
	Exec   uint64 `json:"exec,omitempty"`
	PID    int    `json:"pid,omitempty"`
	Signal int    `json:"signal,omitempty"`

	Argv [][]byte `json:"argv,omitempty"`
	Env  [][]byte `json:"env,omitempty"`
	Dir  []byte   `json:"dir,omitempty"`
	TTY  bool     `json:"tty,omitempty"`
	Rows uint16   `json:"rows,omitempty"`
	Cols uint16   `json:"cols,omitempty"`

	Mode     Mode   `json:"mode,omitempty"`
	Hostname string `json:"hostname,omitempty"`
	// Listener and Lifeline are descriptors of the init, 0 = none; Linger is Config.Linger.
	Listener int           `json:"listener,omitempty"`
	Lifeline int           `json:"lifeline,omitempty"`
	Linger   time.Duration `json:"linger,omitempty"`
}

// reply comes from the init: the answer to the request Seq or, with Exit set, the news that the
// exec Seq has ended.
type reply struct {
	Seq  uint64 `json:"seq"`
	Exit bool   `json:"exit,omitempty"`
	Code int    `json:"code,omitempty"`
	PID  int    `json:"pid,omitempty"`
	Kind Kind   `json:"kind,omitempty"`
	Msg  string `json:"msg,omitempty"`
	// Done answers a signal to an exec that has ended.
	Done bool `json:"done,omitempty"`

	// Last, Mode and Mark answer opAdopt: the greatest request number so far, Config.Mode, and the entry
	// in the environment of every process of the box, "" with namespaces.
	Last uint64 `json:"last,omitempty"`
	Mode Mode   `json:"mode,omitempty"`
	Mark string `json:"mark,omitempty"`

	sender int // process id, when the connection passes credentials
}

// pack encodes v as a packet. The descriptor it returns, if not nil, must travel last and be closed
// afterwards.
func pack(v any) ([]byte, *os.File, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, nil, fmt.Errorf("encode message: %w", err)
	}
	if len(body) > maxMessage {
		return nil, nil, errTooLong
	}
	if len(body) < maxPacket {
		return append([]byte{tagInline}, body...), nil, nil
	}
	fd, err := unix.MemfdCreate("request", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, nil, fmt.Errorf("create memfd: %w", err)
	}
	f := os.NewFile(uintptr(fd), "request")
	if _, err := f.Write(body); err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("write memfd: %w", err)
	}
	return []byte{tagMemfd}, f, nil
}

// unpack decodes a packet into v and returns the descriptors that belong to the value. On an error
// it has closed them.
func unpack(body []byte, fds []int, v any) ([]int, error) {
	err := errors.New("malformed packet")
	switch {
	case len(body) > 0 && body[0] == tagInline:
		err = json.Unmarshal(body[1:], v)
	case len(body) == 1 && body[0] == tagMemfd && len(fds) > 0:
		f := os.NewFile(uintptr(fds[len(fds)-1]), "request")
		fds = fds[:len(fds)-1]
		// The offset is shared with the writer and stands at the end.
		err = json.NewDecoder(io.NewSectionReader(f, 0, maxMessage)).Decode(v)
		f.Close()
	}
	if err != nil {
		closeAll(fds)
		return nil, fmt.Errorf("decode message: %w", err)
	}
	return fds, nil
}

// rightsOf returns the descriptors in the control data of a packet.
func rightsOf(oob []byte) []int {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	var fds []int
	for i := range msgs {
		if got, err := unix.ParseUnixRights(&msgs[i]); err == nil {
			fds = append(fds, got...)
		}
	}
	return fds
}

// senderOf returns the process id in the control data of a packet, 0 if there is none.
func senderOf(oob []byte) int {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0
	}
	for i := range msgs {
		if cred, err := unix.ParseUnixCredentials(&msgs[i]); err == nil {
			return int(cred.Pid)
		}
	}
	return 0
}

// rights is the control data that carries fds; none for none.
func rights(fds []int, extra *os.File) []byte {
	if extra != nil {
		fds = append(fds[:len(fds):len(fds)], int(extra.Fd()))
	}
	if len(fds) == 0 {
		return nil
	}
	return unix.UnixRights(fds...)
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// callerConn is the caller's end: it belongs to the poller, so that deadlines and Close work.
type callerConn struct{ *net.UnixConn }

// newConn returns the two ends. The init's end is a blocking socket.
func newConn() (callerConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return callerConn{}, nil, fmt.Errorf("open socketpair: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "caller"), os.NewFile(uintptr(fds[1]), "init")
	c, err := net.FileConn(ours)
	ours.Close()
	if err != nil {
		theirs.Close()
		return callerConn{}, nil, fmt.Errorf("open socketpair: %w", err)
	}
	return callerConn{c.(*net.UnixConn)}, theirs, nil
}

// send returns ErrGone when the other end is closed.
func (c callerConn) send(r request, fds []int) error {
	body, extra, err := pack(r)
	if err != nil {
		return err
	}
	if extra != nil {
		defer extra.Close()
	}
	_, _, err = c.WriteMsgUnix(body, rights(fds, extra), nil)
	switch {
	case errors.Is(err, unix.EPIPE), errors.Is(err, unix.ECONNRESET), errors.Is(err, net.ErrClosed):
		return ErrGone
	case err != nil:
		return fmt.Errorf("send message: %w", err)
	}
	return nil
}

func (c callerConn) receive(buf []byte) (reply, []int, error) {
	var r reply
	oob := make([]byte, unix.CmsgSpace(4*maxFDs)+unix.CmsgSpace(unix.SizeofUcred))
	n, oobn, _, _, err := c.ReadMsgUnix(buf, oob)
	if err != nil {
		return r, nil, err
	}
	fds, err := unpack(buf[:n], rightsOf(oob[:oobn]), &r)
	r.sender = senderOf(oob[:oobn])
	return r, fds, err
}

// initConn is the init's end, used with blocking system calls from a thread of its own: the init
// then wakes straight from the kernel, without a detour through the poller.
type initConn int

func (c initConn) send(r reply, fds []int) error {
	body, extra, err := pack(r)
	if err != nil {
		return err
	}
	if extra != nil {
		defer extra.Close()
	}
	for {
		_, err = unix.SendmsgN(int(c), body, rights(fds, extra), nil, unix.MSG_NOSIGNAL)
		if err != unix.EINTR {
			return err
		}
	}
}

// receive returns io.EOF when the caller is gone.
func (c initConn) receive(buf []byte) (request, []int, error) {
	var r request
	oob := make([]byte, unix.CmsgSpace(4*maxFDs))
	for {
		n, oobn, _, _, err := unix.Recvmsg(int(c), buf, oob, unix.MSG_CMSG_CLOEXEC)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return r, nil, err
		}
		if n == 0 {
			return r, nil, io.EOF
		}
		fds, err := unpack(buf[:n], rightsOf(oob[:oobn]), &r)
		return r, fds, err
	}
}
