package stack

import (
	"bytes"
	"testing"

	"github.com/coder/websocket"

	"chaos/model"
)

func FuzzParseFrame(f *testing.F) {
	for _, msg := range []string{"", "\x01out", "\x02err", "\x03", `{"type":"exit","exit_code":0}`, `{"type":"exit"}`, `{"type":"error","message":"m"}`, `{"type":"exit","exit_code":1e999}`, "[]", "null"} {
		f.Add(true, []byte(msg))
		f.Add(false, []byte(msg))
	}
	f.Fuzz(func(t *testing.T, binary bool, msg []byte) {
		kind := websocket.MessageText
		if binary {
			kind = websocket.MessageBinary
		}
		got := parseFrame(kind, msg)
		switch got.Kind {
		case model.FrameOut, model.FrameErr:
			if !binary || !bytes.Equal(got.Data, msg[1:]) {
				t.Fatalf("%q became output %q", msg, got.Data)
			}
		case model.FrameExit, model.FrameError:
			if binary {
				t.Fatalf("bytes %q became %v", msg, got.Kind)
			}
		case model.FrameOther:
			if !bytes.Equal(got.Data, msg) {
				t.Fatalf("%q was not kept", msg)
			}
		default:
			t.Fatalf("%q became %v", msg, got.Kind)
		}
	})
}
