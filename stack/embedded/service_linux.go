package embedded

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"chaos/stack/embedded/child"
	"chaos/stack/embedded/runner"
)

// How long a service may take to end after its input has, and after SIGTERM.
const (
	inputGrace = 8 * time.Second
	termGrace  = 2 * time.Second
)

// service is a child process that serves as long as its standard input is open.
type service struct {
	role  string
	cmd   *exec.Cmd
	input io.WriteCloser
	said  string // file that has its standard error
	addr  string
	first chan readiness
	ended chan struct{} // closed when the process is reaped
	exit  error
}

// readiness is the first line a service prints.
type readiness struct {
	Ready bool   `json:"ready"`
	Addr  string `json:"addr"`
	err   error
}

// startService starts role with config and returns when it serves. Its standard error goes to a
// file in dir. It is given files, from descriptor serviceFD on.
func startService(ctx context.Context, role, stackID, dir string, config any, files ...*os.File) (*service, error) {
	s := &service{
		role: role, cmd: child.Command(role), said: filepath.Join(dir, role+".err"),
		first: make(chan readiness, 1), ended: make(chan struct{}),
	}
	s.cmd.Env = append(s.cmd.Env, serviceVar+"="+stackID)
	s.cmd.ExtraFiles = files
	// A service ends by itself when the keeper is dead; one that is frozen must be woken for that.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGCONT}
	if err := s.launch(config); err != nil {
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	if err := s.waitReady(ctx); err != nil {
		_ = s.Stop()
		return nil, fmt.Errorf("start %s: %w%s", role, err, s.lastWords())
	}
	return s, nil
}

func (s *service) launch(config any) error {
	line, err := json.Marshal(config)
	if err != nil {
		return err
	}
	stderr, err := os.OpenFile(s.said, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer stderr.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer w.Close()
	s.cmd.Stdout, s.cmd.Stderr = w, stderr
	if s.input, err = s.cmd.StdinPipe(); err != nil {
		return errors.Join(err, r.Close())
	}
	if err := s.cmd.Start(); err != nil {
		return errors.Join(err, r.Close())
	}
	go func() {
		s.exit = s.cmd.Wait()
		close(s.ended)
	}()
	go func() {
		defer r.Close()
		out := bufio.NewReader(r)
		var f readiness
		text, err := out.ReadBytes('\n')
		if err == nil {
			err = json.Unmarshal(text, &f)
		}
		f.err = err
		s.first <- f
		_, _ = io.Copy(io.Discard, out) // until everybody who could write has gone
	}()
	// A service that died at once is told apart by what it said, not by this broken pipe.
	_, _ = s.input.Write(append(line, '\n'))
	return nil
}

func (s *service) waitReady(ctx context.Context) error {
	select {
	case f := <-s.first:
		if f.err != nil || !f.Ready || f.Addr == "" {
			return errors.New("it did not report ready")
		}
		s.addr = f.Addr
		return nil
	case <-s.ended:
		return fmt.Errorf("it ended at once: %v", s.exit)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// PID implements process.
func (s *service) PID() int { return s.cmd.Process.Pid }

// Ended implements process.
func (s *service) Ended() <-chan struct{} { return s.ended }

// Signal implements process.
func (s *service) Signal(sig syscall.Signal) { _ = s.cmd.Process.Signal(sig) }

// leave tells a runner to end without its boxes. Stop it next.
func (s *service) leave() { _, _ = io.WriteString(s.input, runner.LeaveOrder+"\n") }

// Stop implements process: it asks the service to end, ever more firmly.
func (s *service) Stop() error {
	_ = s.input.Close()
	if s.endsWithin(inputGrace) {
		return nil
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // an error means that it has just ended
	if s.endsWithin(termGrace) {
		return nil
	}
	_ = s.cmd.Process.Kill()
	<-s.ended
	return nil
}

func (s *service) endsWithin(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-s.ended:
		return true
	case <-t.C:
		return false
	}
}

// lastWords is the end of what the service printed as errors, to be put behind a message.
func (s *service) lastWords() string {
	text, err := os.ReadFile(s.said)
	if err != nil {
		return ""
	}
	out := strings.TrimSpace(string(text[max(0, len(text)-2000):]))
	if out == "" {
		return ""
	}
	return ": " + out
}
