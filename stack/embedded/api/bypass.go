package api

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The local executor exists for the seeded bug path-bypass alone: it is the shortcut that the path
// check must catch. It runs real commands, in the API process, where no runner sees them.

// localExecs is the executions of this process, by id.
type localExecs struct {
	mu   sync.Mutex
	byID map[string]*localExec
}

// chunk is a piece of output: the channel byte of the attach protocol and what was written.
type chunk []byte

type localExec struct {
	id    string
	box   string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	begun time.Time

	mu       sync.Mutex
	chunks   []chunk
	exited   bool
	code     int
	took     time.Duration
	attached bool
	grown    chan struct{} // closed when chunks or exited change
}

// execBody is what the executor reads of an exec request.
type execBody struct {
	Command    string            `json:"command"`
	Args       []string          `json:"args"`
	Env        map[string]string `json:"env"`
	Timeout    float64           `json:"timeout_seconds"`
	WorkingDir string            `json:"working_dir"`
	TTY        bool              `json:"tty"`
}

// execHere answers an exec request without the runner. It reports false, with the body of r as it
// was, when the request is one for the runner after all.
func (s *Server) execHere(w http.ResponseWriter, r *http.Request, row record) (bool, error) {
	data, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return false, invalid("the request body could not be read")
	}
	r.Body = readCloser{io.MultiReader(bytes.NewReader(data), r.Body), r.Body}
	var q execBody
	if json.Unmarshal(data, &q) != nil || q.Command == "" || q.TTY {
		return false, nil
	}
	e, err := startLocal(row, q, s.cfg.StackID)
	if err != nil {
		writeJSON(w, http.StatusUnprocessableEntity, map[string]string{"error": fmt.Sprintf("Execution error: %s could not be started", q.Command)})
		return true, nil //nolint:nilerror // it is the answer
	}
	s.local.add(e)
	w.Header().Set("Location", "/api/v1/boxes/"+row.id+"/executions/"+e.id)
	writeJSON(w, http.StatusCreated, map[string]string{"execution_id": e.id})
	return true, nil
}

func startLocal(row record, q execBody, stackID string) (*localExec, error) {
	e := &localExec{id: uuid(), box: row.id, begun: time.Now().UTC(), grown: make(chan struct{})}
	e.cmd = exec.Command(q.Command, q.Args...)
	e.cmd.Dir = "/"
	if dir := cmpString(q.WorkingDir, row.spec.WorkingDir); dir != "" {
		e.cmd.Dir = dir
	}
	e.cmd.Env = append(os.Environ(), "BOXLITE_BOX_ID="+row.id, "CHAOS_STACK="+stackID)
	for _, env := range []map[string]string{row.spec.Env, q.Env} {
		for k, v := range env {
			e.cmd.Env = append(e.cmd.Env, k+"="+v)
		}
	}
	e.cmd.Stdout, e.cmd.Stderr = channel{e, 1}, channel{e, 2}
	e.cmd.SysProcAttr = localAttr()
	e.cmd.WaitDelay = 2 * time.Second // a child that keeps the pipes open does not hold the end back
	var err error
	if e.stdin, err = e.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("open stdin: %w", err)
	}
	if err := e.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", q.Command, err)
	}
	go e.wait(q.Timeout)
	return e, nil
}

func cmpString(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (e *localExec) wait(timeout float64) {
	if timeout > 0 {
		d := time.Duration(timeout * float64(time.Second))
		defer time.AfterFunc(d, func() { _ = e.signal(syscall.SIGTERM) }).Stop()
		defer time.AfterFunc(d+2*time.Second, func() { _ = e.signal(syscall.SIGKILL) }).Stop()
	}
	_ = e.cmd.Wait() // the exit code says it all
	e.mu.Lock()
	defer e.mu.Unlock()
	e.code = e.cmd.ProcessState.ExitCode()
	if ws, ok := e.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		e.code = 128 + int(ws.Signal())
	}
	e.exited, e.took = true, time.Since(e.begun)
	e.grow()
}

func (e *localExec) grow() {
	close(e.grown)
	e.grown = make(chan struct{})
}

// channel appends what is written to it to the output of e.
type channel struct {
	e  *localExec
	no byte
}

func (c channel) Write(p []byte) (int, error) {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	c.e.chunks = append(c.e.chunks, slices.Concat([]byte{c.no}, p))
	c.e.grow()
	return len(p), nil
}

var errEnded = errors.New("execution has ended")

func (e *localExec) signal(sig syscall.Signal) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.exited {
		return errEnded
	}
	if err := e.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("signal execution: %w", err)
	}
	return nil
}

// kill ends e and what it started, if it still runs.
func (e *localExec) kill() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.exited {
		_ = killGroup(e.cmd.Process.Pid) // may have ended this instant
	}
}

func (e *localExec) info() map[string]any {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := map[string]any{"execution_id": e.id, "status": "running", "started_at": e.begun.Format(time.RFC3339Nano)}
	if e.exited {
		out["status"], out["exit_code"], out["duration_ms"] = "completed", e.code, e.took.Milliseconds()
	}
	return out
}

func (l *localExecs) add(e *localExec) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byID == nil {
		l.byID = map[string]*localExec{}
	}
	l.byID[e.id] = e
}

func (l *localExecs) get(id, box string) *localExec {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.byID[id]; e != nil && e.box == box {
		return e
	}
	return nil
}

func (l *localExecs) drop(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byID, id)
}

func (l *localExecs) killAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.byID {
		e.kill()
	}
}

// uuid returns a random version 4 UUID.
func uuid() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return strings.ToLower(fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]))
}
