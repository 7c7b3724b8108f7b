//go:build linux

package sandbox

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func eachMode(b *testing.B, f func(b *testing.B, m Mode)) {
	for _, m := range []Mode{Namespaces, UserNamespaces, Plain} {
		b.Run(m.String(), func(b *testing.B) {
			if err := works()[m]; err != nil {
				b.Skip(err)
			}
			f(b, m)
		})
	}
}

func BenchmarkStart(b *testing.B) {
	eachMode(b, func(b *testing.B, m Mode) {
		root := b.TempDir()
		for i := 0; b.Loop(); i++ {
			box, err := Start(context.Background(), Config{Dir: filepath.Join(root, strconv.Itoa(i)), Mode: m})
			require.NoError(b, err)
			b.StopTimer()
			require.NoError(b, box.Kill())
			b.StartTimer()
		}
	})
}

// lingering is a box as a runner that can be replaced starts it.
func lingering(b *testing.B, c Config) Config {
	r, w, err := os.Pipe()
	require.NoError(b, err)
	b.Cleanup(func() { r.Close(); w.Close() })
	c.Linger, c.Lifeline = time.Minute, r
	return c
}

func BenchmarkStartLingering(b *testing.B) {
	eachMode(b, func(b *testing.B, m Mode) {
		root := b.TempDir()
		cfg := lingering(b, Config{Mode: m})
		for i := 0; b.Loop(); i++ {
			cfg.Dir = filepath.Join(root, strconv.Itoa(i))
			box, err := Start(context.Background(), cfg)
			require.NoError(b, err)
			b.StopTimer()
			require.NoError(b, box.Kill())
			b.StartTimer()
		}
	})
}

func BenchmarkExecLingering(b *testing.B) {
	eachMode(b, func(b *testing.B, m Mode) {
		box := start(b, lingering(b, Config{Mode: m}))
		for b.Loop() {
			require.NoError(b, trueOnce(box, false))
		}
	})
}

func BenchmarkKill(b *testing.B) {
	eachMode(b, func(b *testing.B, m Mode) {
		root := b.TempDir()
		for i := 0; b.Loop(); i++ {
			b.StopTimer()
			box, err := Start(context.Background(), Config{Dir: filepath.Join(root, strconv.Itoa(i)), Mode: m})
			require.NoError(b, err)
			_, err = box.Exec(context.Background(), Spec{Argv: []string{"sleep", "1000"}})
			require.NoError(b, err)
			b.StartTimer()
			require.NoError(b, box.Kill())
		}
	})
}

func trueOnce(box *Box, tty bool) error {
	p, err := box.Exec(context.Background(), Spec{Argv: []string{"/bin/true"}, TTY: tty})
	if err != nil {
		return err
	}
	defer p.Close()
	<-p.Exited()
	if _, err := ReadAvailable(p.Stdout, make([]byte, 1)); err != io.EOF && err != ErrWouldBlock {
		return err
	}
	return nil
}

func BenchmarkExec(b *testing.B) {
	for _, tty := range []bool{false, true} {
		b.Run("tty="+strconv.FormatBool(tty), func(b *testing.B) {
			eachMode(b, func(b *testing.B, m Mode) {
				box := start(b, Config{Mode: m})
				for b.Loop() {
					require.NoError(b, trueOnce(box, tty))
				}
			})
		})
	}
}

func BenchmarkExecParallel(b *testing.B) {
	eachMode(b, func(b *testing.B, m Mode) {
		box := start(b, Config{Mode: m})
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := trueOnce(box, false); err != nil {
					b.Error(err)
				}
			}
		})
	})
}
