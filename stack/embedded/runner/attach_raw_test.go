package runner

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// rawConn is an attach connection without a library, to see and do what libraries hide.
type rawConn struct {
	t  *testing.T
	c  net.Conn
	in *bufio.Reader
}

func (h *harness) rawAttach(box, exec string) *rawConn {
	h.t.Helper()
	c, err := net.Dial("tcp", h.addr)
	require.NoError(h.t, err)
	h.t.Cleanup(func() { _ = c.Close() })
	require.NoError(h.t, c.SetDeadline(time.Now().Add(deadline)))
	_, err = io.WriteString(c, "GET "+execPath(box, exec)+"/attach HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"+
		"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"+
		"Authorization: Bearer "+runnerToken+"\r\n\r\n")
	require.NoError(h.t, err)
	in := bufio.NewReader(c)
	res, err := http.ReadResponse(in, nil)
	require.NoError(h.t, err)
	require.Equal(h.t, http.StatusSwitchingProtocols, res.StatusCode)
	return &rawConn{h.t, c, in}
}

const (
	opText   = 1
	opBinary = 2
	opClose  = 8
	opPing   = 9
)

// frame reads the next frame that is not a ping.
func (r *rawConn) frame() (op byte, payload []byte) {
	r.t.Helper()
	for {
		var head [2]byte
		_, err := io.ReadFull(r.in, head[:])
		require.NoError(r.t, err)
		n := int(head[1])
		if n == 126 {
			var ext [2]byte
			_, err = io.ReadFull(r.in, ext[:])
			require.NoError(r.t, err)
			n = int(binary.BigEndian.Uint16(ext[:]))
		}
		payload = make([]byte, n)
		_, err = io.ReadFull(r.in, payload)
		require.NoError(r.t, err)
		if op = head[0] & 0x0f; op != opPing {
			return op, payload
		}
	}
}

// write sends a short frame with an all-zero mask.
func (r *rawConn) write(op byte, payload string) {
	r.t.Helper()
	_, err := r.c.Write(append([]byte{0x80 | op, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...))
	require.NoError(r.t, err)
}

// The end of an attach session frame by frame, with a caller that still sends: the server waits for
// the caller's Close, and the slot is taken until then.
func TestServerWaitsForTheCallersClose(t *testing.T) {
	h := start(t)
	box := h.box()
	e := h.exec(box, sh("echo hi; exit 4"))
	r := h.rawAttach(box, e)
	op, p := r.frame()
	require.Equal(t, byte(opBinary), op)
	require.Equal(t, "\x01hi\n", string(p))
	op, p = r.frame()
	require.Equal(t, byte(opText), op)
	require.JSONEq(t, `{"type":"exit","exit_code":4}`, string(p))
	op, p = r.frame()
	require.Equal(t, byte(opClose), op)
	require.Equal(t, "\x03\xe8", string(p))

	// None of this may make it hang up.
	r.write(opPing, "are you there")
	r.write(opBinary, "input for nobody")
	r.write(opText, `{"type":"stdin_eof"}`)
	_, status, err := h.dial(box, e, "")
	require.Error(t, err)
	require.Equal(t, http.StatusConflict, status)

	r.write(opClose, "\x03\xe8")
	_, err = r.in.ReadByte()
	require.ErrorIs(t, err, io.EOF)
	clean(t, drain(h.attachSoon(box, e)), 4)
}

// The real client does not answer Close: it hangs up.
func TestHangingUpFreesTheSlot(t *testing.T) {
	h := start(t)
	box := h.box()
	e := h.exec(box, sh("exit 4"))
	r := h.rawAttach(box, e)
	op, _ := r.frame()
	require.Equal(t, byte(opText), op)
	require.NoError(t, r.c.Close())
	clean(t, drain(h.attachSoon(box, e)), 4)

	// In the middle of a run as well, and by a reset.
	e = h.exec(box, sh("sleep 60"))
	r = h.rawAttach(box, e)
	require.NoError(t, r.c.(*net.TCPConn).SetLinger(0))
	require.NoError(t, r.c.Close())
	c := h.attachSoon(box, e)
	h.call("POST", execPath(box, e)+"/signal", map[string]int{"signal": 15})
	clean(t, drain(c), 143)
}
