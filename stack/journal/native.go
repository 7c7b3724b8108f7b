package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// maxDatagram is the longest entry that is sent as a datagram. The kernel's limit depends on its
// settings and is near 200 KB; longer entries are handed over as a memory file.
const maxDatagram = 150 << 10

// socketWriter sends to a journald in its native protocol. The socket is connected: on an
// unconnected one a full queue of journald makes all writers slow.
type socketWriter struct {
	path string

	mu     sync.Mutex
	conn   *net.UnixConn
	closed bool
	queue
}

// DialWriter returns a writer to the journald that listens on socket. Its Send returns when the
// entry is in journald's queue. While that is full Send blocks for a second, and then leaves entries
// in a queue of its own, from which they are sent later, in order. After a restart of journald the writer
// connects anew; entries sent while nobody has the socket fail, and the log gets a note of how many.
func DialWriter(socket string) (Writer, error) {
	conn, err := dialSocket(socket)
	if err != nil {
		return nil, err
	}
	return &socketWriter{path: socket, conn: conn}, nil
}

func dialSocket(path string) (*net.UnixConn, error) {
	if err := checkSocketPath(path); err != nil {
		return nil, fmt.Errorf("dial journald: %w", err)
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Net: "unixgram", Name: path})
	if err != nil {
		return nil, fmt.Errorf("dial journald: %w", err)
	}
	return conn, nil
}

func (w *socketWriter) Send(prio int, identifier, message string, fields map[string]string) error {
	if err := checkSend(prio, fields); err != nil {
		return err
	}
	entry := nativeEntry(prio, identifier, message, fields)
	if err := w.send(entry); err != nil {
		return fmt.Errorf("send log entry: %w", err)
	}
	return nil
}

// send sends an entry at once if it can, and else queues it.
func (w *socketWriter) send(entry []byte) error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return net.ErrClosed
	}
	if w.empty == nil && w.lost == 0 && len(entry) <= maxDatagram {
		if err := trySend(w.conn, entry); err == nil {
			w.mu.Unlock()
			return nil
		}
	}
	return w.sendQueued(entry) // which finds out what is wrong
}

// Close gives what is queued a moment to be sent.
func (w *socketWriter) Close() error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return nil
	}
	w.closed = true
	conn := w.conn
	w.mu.Unlock()
	return errors.Join(w.Flush(), conn.Close())
}

// connection returns the current connection, or a new one if the current one is dead.
func (w *socketWriter) connection(dead *net.UnixConn) (*net.UnixConn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, net.ErrClosed
	}
	if w.conn == dead {
		conn, err := dialSocket(w.path)
		if err != nil {
			return nil, err
		}
		_ = dead.Close()
		w.conn = conn
	}
	return w.conn, nil
}

// gone reports whether err says that the receiving end no longer exists. net.ErrClosed comes up
// when another goroutine has found that out first.
func gone(err error) bool {
	for _, e := range []error{syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.ENOTCONN, syscall.EPIPE, net.ErrClosed} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func sendNative(conn *net.UnixConn, entry []byte) error {
	if len(entry) <= maxDatagram {
		_, err := conn.Write(entry)
		if !errors.Is(err, syscall.EMSGSIZE) {
			return err
		}
	}
	return sendMemfd(conn, entry)
}

// nativeEntry encodes an entry in journald's native protocol, fields in the order of their names.
func nativeEntry(prio int, identifier, message string, fields map[string]string) []byte {
	var buf bytes.Buffer
	nativeField(&buf, fieldMessage, message)
	nativeField(&buf, fieldPriority, strconv.Itoa(prio))
	if identifier != "" {
		nativeField(&buf, fieldIdentifier, identifier)
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		nativeField(&buf, name, fields[name])
	}
	return buf.Bytes()
}

func nativeField(buf *bytes.Buffer, name, value string) {
	buf.WriteString(name)
	if strings.Contains(value, "\n") {
		buf.WriteByte('\n')
		_ = binary.Write(buf, binary.LittleEndian, uint64(len(value))) // a Buffer takes everything
	} else {
		buf.WriteByte('=')
	}
	buf.WriteString(value)
	buf.WriteByte('\n')
}
