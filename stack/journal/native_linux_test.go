package journal

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// listen plays journald's end of the socket.
func listen(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: path})
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func receive(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	buf, oob := make([]byte, 1<<18), make([]byte, 64)
	n, oobn, _, _, err := conn.ReadMsgUnix(buf, oob)
	require.NoError(t, err)
	if oobn == 0 {
		return string(buf[:n])
	}
	require.Zero(t, n)
	control, err := unix.ParseSocketControlMessage(oob[:oobn])
	require.NoError(t, err)
	require.Len(t, control, 1)
	fds, err := unix.ParseUnixRights(&control[0])
	require.NoError(t, err)
	require.Len(t, fds, 1)
	f := os.NewFile(uintptr(fds[0]), "received")
	defer f.Close()
	seals, err := unix.FcntlInt(f.Fd(), unix.F_GET_SEALS, 0)
	require.NoError(t, err)
	require.Equal(t, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE, seals)
	_, err = f.Seek(0, io.SeekStart)
	require.NoError(t, err)
	all, err := io.ReadAll(f)
	require.NoError(t, err)
	return string(all)
}

func TestNativeEncoding(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	server := listen(t, path)
	w, err := Open("unix:" + path)
	require.NoError(t, err)
	defer w.Close()

	require.NoError(t, w.Send(4, "id", "a=b c", map[string]string{"B": "x\ny", "A": "1"}))
	require.Equal(t, "MESSAGE=a=b c\nPRIORITY=4\nSYSLOG_IDENTIFIER=id\nA=1\nB\n\x03\x00\x00\x00\x00\x00\x00\x00x\ny\n", receive(t, server))

	long := strings.Repeat("x", maxDatagram)
	require.NoError(t, w.Send(6, "", long, nil))
	require.Equal(t, "MESSAGE="+long+"\nPRIORITY=6\n", receive(t, server))
}

func TestWriterFollowsARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	server := listen(t, path)
	w, err := DialWriter(path)
	require.NoError(t, err)
	require.NoError(t, w.Send(6, "", "first", nil))
	require.Contains(t, receive(t, server), "first")

	require.NoError(t, server.Close())
	require.ErrorIs(t, w.Send(6, "", "nobody there", nil), syscall.ECONNREFUSED)
	require.NoError(t, os.Remove(path))
	require.ErrorIs(t, w.Send(6, "", "nobody there", nil), syscall.ENOENT)

	server = listen(t, path)
	require.NoError(t, w.Send(6, "", "second", nil))
	require.Contains(t, receive(t, server), "MESSAGE=2 log entries were lost here\n")
	require.Contains(t, receive(t, server), "second")

	require.NoError(t, w.Close())
	require.NoError(t, w.Close())
	require.ErrorIs(t, w.Send(6, "", "m", nil), net.ErrClosed)
}

// TestManySendersFollowARestart restarts the receiver under eight senders: every Send that
// succeeded before the first end or after the last start has arrived, and none hangs.
func TestManySendersFollowARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	var server *net.UnixConn
	var got bytes.Buffer
	w := Writer(nil)
	for round := range 20 {
		_ = os.Remove(path)
		server = listen(t, path)
		if w == nil {
			var err error
			w, err = DialWriter(path)
			require.NoError(t, err)
			defer w.Close()
		}
		received := make(chan struct{})
		go func() {
			defer close(received)
			buf := make([]byte, 1<<12)
			for range 8 {
				n, err := server.Read(buf)
				if err != nil {
					return
				}
				got.Write(buf[:n])
			}
		}()
		sendConcurrently(t, w, 8, 1)
		<-received
		require.Equal(t, 8*(round+1), strings.Count(got.String(), "MESSAGE="))
		require.NoError(t, server.Close())
	}
}

func TestLongSocketPathIsExplained(t *testing.T) {
	path := "/" + strings.Repeat("x", maxSocketPath)
	_, err := DialWriter(path)
	require.ErrorContains(t, err, "108 bytes long, the system allows 107")
	_, err = StartDaemon(testContext(t), path)
	if !errors.Is(err, ErrNoJournald) {
		require.ErrorContains(t, err, "directory name is too long")
	}
	require.ErrorContains(t, Rotate(testContext(t), path), "the system allows 107")
}
