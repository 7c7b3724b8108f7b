package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
)

// stdinQueue is how many writes may wait for a command that does not read. A caller with more than
// that waits.
const stdinQueue = 8

// endOfTransmission is Ctrl-D: on a terminal the end of the input is a byte, not a closed file.
const endOfTransmission = 0x04

var (
	errStdinClosed = errors.New("stdin write failed: stdin is closed")
	errStdinEnded  = errors.New("stdin write failed: the execution has finished")
)

// stdin carries input to a command in the order it was accepted. It belongs to the execution and
// not to an attachment, and has a goroutine of its own: a command that does not read its input must
// not hold up signals, resizes or a kill, nor may the input of a lost attachment overtake that of
// the next one.
type stdin struct {
	file *os.File
	tty  bool
	done <-chan struct{} // closed when the execution has ended

	queue chan []byte // a nil element is the end of the input
	start sync.Once
	over  chan struct{} // seeded bug stdin-eof-overtakes: the way of the end of the input; nil in the clean stack

	mu     sync.Mutex
	closed error // why nothing more is accepted
}

func newStdin(file *os.File, tty bool, done <-chan struct{}) *stdin {
	return &stdin{file: file, tty: tty, done: done, queue: make(chan []byte, stdinQueue)}
}

// write queues p, which it keeps. It waits for room as long as ctx allows.
func (s *stdin) write(ctx context.Context, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	s.mu.Lock()
	err := s.closed
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.send(ctx, p)
}

// close queues the end of the input. Closing again does nothing.
func (s *stdin) close(ctx context.Context) error {
	s.mu.Lock()
	again := s.closed != nil
	if !again && !s.tty {
		s.closed = errStdinClosed
	}
	s.mu.Unlock()
	if again {
		return nil
	}
	if s.over != nil && !s.tty {
		s.over <- struct{}{}
		s.start.Do(func() { go s.pump() })
		return nil
	}
	return s.send(ctx, nil)
}

func (s *stdin) send(ctx context.Context, p []byte) error {
	select {
	case <-s.done:
		return errStdinEnded
	default:
	}
	s.start.Do(func() { go s.pump() })
	select {
	case s.queue <- p:
		return nil
	case <-s.done:
		return errStdinEnded
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *stdin) pump() {
	for {
		select {
		case <-s.done:
			return
		case <-s.over:
			_ = s.file.Close()
		case p := <-s.queue:
			if p == nil && !s.tty {
				_ = s.file.Close()
				continue
			}
			if p == nil {
				p = []byte{endOfTransmission}
			}
			if _, err := s.file.Write(p); err != nil {
				s.fail(err)
			}
		}
	}
}

// fail refuses further input after a write that the command did not take.
func (s *stdin) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed == nil {
		s.closed = fmt.Errorf("stdin write failed: %w", err)
	}
}
