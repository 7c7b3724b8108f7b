//go:build unix

package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// fileWriter appends JSON lines to a file that several processes share. Every line is one write
// under an exclusive lock on the file, so that lines stand in the order of their times, and so
// that what a killed writer or a full disk left of a line can be taken away again.
type fileWriter struct {
	mu     sync.Mutex // the file lock excludes other processes only
	f      *os.File
	closed bool
}

// CreateFileWriter returns a writer to the file of JSON lines at path, which it creates if it is
// missing. The file system must be local: the locks of some network file systems are not reliable.
func CreateFileWriter(path string) (Writer, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log file: %w", err)
	}
	return &fileWriter{f: f}, nil
}

func (w *fileWriter) Send(prio int, identifier, message string, fields map[string]string) error {
	if err := checkSend(prio, fields); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return fmt.Errorf("send log entry: %w", os.ErrClosed)
	}
	if err := w.locked(func(fd int) error {
		line, err := formatEntry(time.Now(), os.Getpid(), prio, identifier, message, fields)
		if err != nil {
			return err
		}
		return w.appendLine(fd, line)
	}); err != nil {
		return fmt.Errorf("send log entry: %w", err)
	}
	return nil
}

func (w *fileWriter) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	w.closed = true
	return w.f.Close()
}

// locked runs do while no other process writes.
func (w *fileWriter) locked(do func(fd int) error) error {
	conn, err := w.f.SyscallConn()
	if err != nil {
		return err
	}
	var doErr error
	err = conn.Control(func(p uintptr) {
		fd := int(p)
		if doErr = retryEINTR(func() error { return syscall.Flock(fd, syscall.LOCK_EX) }); doErr != nil {
			return
		}
		doErr = errors.Join(do(fd), syscall.Flock(fd, syscall.LOCK_UN))
	})
	return errors.Join(err, doErr)
}

// appendLine writes line with a single call. os.File.Write would go on after a short write; here
// the short line is removed instead.
func (w *fileWriter) appendLine(fd int, line []byte) error {
	size, err := w.repair()
	if err != nil {
		return err
	}
	var n int
	err = retryEINTR(func() (err error) {
		n, err = syscall.Write(fd, line)
		return err
	})
	switch {
	case err != nil:
		return fmt.Errorf("write %s: %w", w.f.Name(), err)
	case n < len(line):
		return errors.Join(fmt.Errorf("write %s: %w", w.f.Name(), io.ErrShortWrite), w.f.Truncate(size))
	}
	return nil
}

// repair removes an unfinished last line. Only a writer that died in the middle of its write leaves
// one, and it never reported that entry as sent. It returns the size of the file.
func (w *fileWriter) repair() (int64, error) {
	info, err := w.f.Stat()
	if err != nil {
		return 0, err
	}
	size := info.Size()
	const step = 1 << 12
	buf := make([]byte, 1, step)
	for end := size; end > 0; {
		start := max(0, end-int64(len(buf)))
		if _, err := w.f.ReadAt(buf[:end-start], start); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(buf[:end-start], '\n'); i >= 0 {
			end = start + int64(i) + 1
			if end == size {
				return size, nil
			}
			return end, w.f.Truncate(end)
		}
		end = start
		buf = buf[:step] // the first look is at the last byte alone: nearly always a line feed
	}
	if size > 0 {
		return 0, w.f.Truncate(0)
	}
	return 0, nil
}

func retryEINTR(call func() error) error {
	for {
		if err := call(); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
