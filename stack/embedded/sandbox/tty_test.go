//go:build linux

package sandbox

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func tty(script string) Spec {
	s := sh(script)
	s.TTY = true
	return s
}

func TestTTY_SizeAndResize(t *testing.T) {
	inModes(t, func(t *testing.T, m Mode) {
		b := start(t, Config{Mode: m})
		require.Equal(t, result{"24 80\r\n", "", 0}, run(t, b, tty("stty size")))
		spec := tty("stty size; while read x; do stty size; done")
		spec.Rows, spec.Cols = 40, 120
		p := begin(t, b, spec)
		require.Same(t, p.Stdin, p.Stdout)
		require.Nil(t, p.Stderr)
		expect(t, p, "40 120\r\n")
		require.NoError(t, p.Resize(25, 81))
		write(t, p.Stdin, "\n")
		expect(t, p, "25 81\r\n")
		p.Close()
		require.ErrorIs(t, p.Resize(1, 1), os.ErrClosed)
		await(t, "exit after hang-up", p.Exited())
		require.Error(t, begin(t, b, sh("true")).Resize(1, 1), "no terminal")
	})
}

func TestTTY_IsTheBoxsOwn(t *testing.T) {
	inModes(t, func(t *testing.T, m Mode) {
		b := start(t, Config{Mode: m})
		r := run(t, b, tty("tty; test -t 0 && test -t 1 && test -t 2 && echo terminal >/dev/tty; echo error >&2"))
		require.Equal(t, result{"/dev/pts/0\r\nterminal\r\nerror\r\n", "", 0}, r)
	}, Namespaces, UserNamespaces)
}

func TestTTY_ControlCharacters(t *testing.T) {
	inModes(t, func(t *testing.T, m Mode) {
		b := start(t, Config{Mode: m})
		p := begin(t, b, tty("stty -echo; trap 'echo interrupted' INT; echo ready; cat; echo after; cat"))
		expect(t, p, "ready\r\n")
		write(t, p.Stdin, "to cat\n")
		expect(t, p, "to cat\r\n") // cat runs, so the interrupt meets it and not the shell that forks it
		write(t, p.Stdin, "\x03")
		expect(t, p, "after\r\n")
		write(t, p.Stdin, "typed\n")
		expect(t, p, "typed\r\n")
		// The line above came from the second cat, so end of input meets it, too.
		write(t, p.Stdin, "\x04")
		await(t, "exit at end of input", p.Exited())
	})
}

// The output of a short command on a terminal is complete, whether it is read early or late and
// whether or not somebody else keeps the terminal open.
func TestTTY_OutputIsComplete(t *testing.T) {
	const runs, clients, lines = 120, 6, 100
	inModes(t, func(t *testing.T, m Mode) {
		b := start(t, Config{Mode: m})
		var want strings.Builder
		for i := range lines {
			fmt.Fprintf(&want, "line %d\r\n", i)
		}
		script := fmt.Sprintf("i=0; while [ $i -lt %d ]; do echo line $i; i=$((i+1)); done", lines)
		var wg sync.WaitGroup
		for c := range clients {
			wg.Go(func() {
				for i := range runs / clients {
					s := script
					if i%2 == 0 {
						s = "trap '' HUP; sleep 1000 & " + s
					}
					p, err := b.Exec(context.Background(), tty(s))
					if err != nil {
						t.Error(err)
						return
					}
					if i%3 == 0 {
						<-p.Exited() // all of it fits the terminal's buffer
					}
					r, err := finish(p)
					p.Close()
					if err != nil || r.out != want.String() || r.code != 0 {
						t.Errorf("client %d run %d: %d of %d bytes, code %d, %v", c, i, len(r.out), want.Len(), r.code, err)
					}
				}
			})
		}
		wg.Wait()
	})
}

func TestTTY_StreamsObeyDeadlines(t *testing.T) {
	inModes(t, func(t *testing.T, m Mode) {
		b := start(t, Config{Mode: m})
		for _, spec := range []Spec{tty("sleep 1000"), sh("sleep 1000")} {
			p := begin(t, b, spec)
			require.NoError(t, p.Stdout.SetReadDeadline(time.Unix(1, 0)))
			_, err := p.Stdout.Read(make([]byte, 1))
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			require.NoError(t, p.Stdout.SetReadDeadline(time.Time{}))
			ended := make(chan error, 1)
			go func() { ended <- p.Pump(p.Stdout, func([]byte) {}) }()
			p.Close()
			require.ErrorIs(t, <-ended, os.ErrClosed)
		}
	})
}
