package proxy

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"chaos/model"
	"chaos/stack"
)

// sessions is an API whose attach sends frames until it is cut, and tells how it ended.
func sessions(frames int, ended chan<- error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		for i := range frames {
			if err = c.Write(r.Context(), websocket.MessageBinary, append([]byte{1}, []byte(strings.Repeat("x", 200*(i+1)))...)); err != nil {
				break
			}
		}
		if err == nil {
			_ = c.Write(r.Context(), websocket.MessageText, []byte(`{"type":"exit","exit_code":7}`))
			err = c.Close(websocket.StatusNormalClosure, "")
		}
		ended <- err
	})
}

func attach(t *testing.T, p *Proxy, args ...string) (*model.Attach, []model.Message) {
	t.Helper()
	plan := model.Plan{Steps: []model.Step{step("attach", "e1", "", args...)}}
	now := clock()
	end := p.Begin("t1", plan, now)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	a, res, err := client(t, p).Tagged("t1/0").Attach(ctx, "box", "exec", stack.AttachOptions{Now: now})
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, res.Status)
	return a, end()
}

func TestSession_PassesFramesOfEverySize(t *testing.T) {
	ended := make(chan error, 1)
	p := startProxy(t, sessions(400, ended)) // up to 80 kB: all three forms of a frame's length
	for _, args := range [][]string{nil, {model.HoldFrames, "1ms"}} {
		a, said := attach(t, p, args...)
		exit, ok := a.Exit()
		require.True(t, ok)
		require.Equal(t, 7, exit.Exit)
		require.Len(t, a.Frames, 401)
		for i, f := range a.Frames[:400] {
			require.Len(t, f.Data, 200*(i+1))
		}
		require.Equal(t, 1000, a.Close)
		require.NoError(t, <-ended)
		require.Equal(t, args != nil, len(said) > 0)
	}
}

func TestSession_IsCutAfterItsFrames(t *testing.T) {
	ended := make(chan error, 1)
	p := startProxy(t, sessions(100_000, ended))
	a, said := attach(t, p, model.CutFrame, "3")
	require.LessOrEqual(t, len(a.Frames), 3)
	require.Zero(t, a.Close)
	require.Error(t, <-ended, "the server learns of it")
	require.Equal(t, []string{model.CutFrame}, whats(said))
}

func TestSession_HalfClosedIsNotToldTheServer(t *testing.T) {
	ended := make(chan error, 1)
	p := startProxy(t, sessions(3, ended))
	plan := model.Plan{Steps: []model.Step{step("attach", "e1", "", model.HalfClose, "1")}}
	now := clock()
	end := p.Begin("t1", plan, now)
	a, _, err := client(t, p).Tagged("t1/0").Attach(t.Context(), "box", "exec", stack.AttachOptions{Now: now})
	require.NoError(t, err)
	require.LessOrEqual(t, len(a.Frames), 1)
	select {
	case err := <-ended:
		require.Fail(t, "the server noticed", "%v", err)
	case <-time.After(50 * time.Millisecond):
	}
	require.Equal(t, []string{model.HalfClose}, whats(end()))
	<-ended
}
