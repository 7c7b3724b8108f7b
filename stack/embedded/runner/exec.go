package runner

import (
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"

	"chaos/stack/embedded/bugs"
	"chaos/stack/embedded/sandbox"
)

// execRequest is the body of POST exec.
type execRequest struct {
	Command        string            `json:"command"`
	Args           []string          `json:"args"`
	Env            map[string]string `json:"env"`
	WorkingDir     string            `json:"working_dir"`
	TimeoutSeconds float64           `json:"timeout_seconds"` // 0 or less = none
	TTY            bool              `json:"tty"`
}

// check refuses what no process can be started with.
func (q execRequest) check() error {
	if q.Command == "" {
		return invalidArgument("command is required")
	}
	for _, s := range append([]string{q.Command, q.WorkingDir}, q.Args...) {
		if strings.ContainsRune(s, 0) {
			return invalidArgument("NUL byte in the command line or working directory")
		}
	}
	for k, v := range q.Env {
		if k == "" || strings.ContainsAny(k, "=\x00") || strings.ContainsRune(v, 0) {
			return invalidArgument("bad environment variable %q", k)
		}
	}
	return nil
}

// line is the command as one string, for people.
func (q execRequest) line() string {
	return strings.Join(append([]string{q.Command}, q.Args...), " ")
}

// limit is the time limit, 0 if there is none.
func (q execRequest) limit() time.Duration {
	if ns := q.TimeoutSeconds * float64(time.Second); ns > 0 && ns < math.MaxInt64 {
		return max(time.Duration(ns), 1)
	}
	return 0
}

// The variables every process of a box is marked with, so that what is left of a box can be found
// without asking us.
const (
	boxVar   = "BOXLITE_BOX_ID"
	stackVar = "CHAOS_STACK"
)

// boxEnv is the environment of the box id whose owner asked for env.
func (r *Runner) boxEnv(id string, env map[string]string) []string {
	all := map[string]string{
		"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME": "/root",
	}
	maps.Copy(all, env)
	all[boxVar], all[stackVar] = id, r.cfg.StackID
	return envList(all)
}

// execEnv adds to all, and returns, what an execution adds to the environment of its box. The marks
// cannot be changed.
func (q execRequest) execEnv(all map[string]string) []string {
	if q.TTY {
		all["TERM"] = "xterm"
	}
	maps.Copy(all, q.Env)
	delete(all, boxVar)
	delete(all, stackVar)
	return envList(all)
}

func envList(env map[string]string) []string {
	out := make([]string, 0, len(env))
	for _, k := range slices.Sorted(maps.Keys(env)) {
		out = append(out, k+"="+env[k])
	}
	return out
}

// exec starts a command in a box. When it returns the execution is in the books and will end: the
// run of the box is held until then, so no stop can have looked for executions in between.
func (r *Runner) exec(b *box, req execRequest) (*execution, error) {
	run, err := r.admit(b)
	if err != nil {
		return nil, err
	}
	defer run.starts.Done()
	dir := req.WorkingDir
	if dir == "" {
		dir = b.workDir
	}
	env := req.execEnv(map[string]string{})
	if r.cfg.bugs.Has(bugs.EnvBleed) {
		env = b.mergedEnv(req)
	}
	proc, err := run.sb.Exec(r.ctx, sandbox.Spec{
		Argv: append([]string{req.Command}, req.Args...),
		Env:  env,
		Dir:  dir,
		TTY:  req.TTY,
	})
	if err != nil {
		b.failed.Add(1)
		if errors.Is(err, sandbox.ErrGone) {
			return nil, &errStopped{b.id}
		}
		return nil, err
	}
	b.started.Add(1)
	e := r.newExecution(b, run, req, proc)
	r.register(e)
	r.log.Info("exec started", zap.String("box_id", b.id), zap.String("execution_id", e.id))
	e.begin(req.limit())
	return e, nil
}

// executionInfo is the answer to GET execution.
type executionInfo struct {
	ExecutionID string `json:"execution_id"`
	Status      string `json:"status"` // running or completed
	ExitCode    *int   `json:"exit_code,omitempty"`
	StartedAt   string `json:"started_at"`
	DurationMS  int64  `json:"duration_ms"`
	Command     string `json:"command"`
	Attached    bool   `json:"attached"`
}

func (e *execution) info() executionInfo {
	ended := e.finished()
	if e.bugs.Has(bugs.InfoStale) {
		ended = e.seeded.noted.Load()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	i := executionInfo{
		ExecutionID: e.id,
		Status:      "running",
		StartedAt:   e.started.UTC().Format(time.RFC3339Nano),
		DurationMS:  time.Since(e.started).Milliseconds(),
		Command:     e.command,
		Attached:    e.writer || e.watchers > 0,
	}
	if ended {
		code := e.code
		if e.bugs.Has(bugs.ExitZero) && code > 128 {
			code = 0 // what WEXITSTATUS makes of a death by signal
		}
		i.Status, i.ExitCode = "completed", &code
		i.DurationMS = e.ended.Sub(e.started).Milliseconds()
	}
	return i
}

// allowedSignals may be sent by callers: HUP INT QUIT ABRT USR1 USR2 TERM WINCH, by their numbers in
// a box, which is Linux. SIGKILL is DELETE's, and stopping and continuing would leave executions that
// never end.
var allowedSignals = []syscall.Signal{1, 2, 3, 6, 10, 12, 15, 28}

func allowedSignal(n int) (syscall.Signal, error) {
	if sig := syscall.Signal(n); slices.Contains(allowedSignals, sig) {
		return sig, nil
	}
	return 0, invalidArgument("signal %d is not allowed", n)
}

// size is a terminal size as it comes from a caller.
type size struct {
	Rows uint32 `json:"rows"`
	Cols uint32 `json:"cols"`
}

func (s size) check() (rows, cols uint16, err error) {
	if s.Rows > math.MaxUint16 || s.Cols > math.MaxUint16 {
		return 0, 0, invalidArgument("terminal of %d rows and %d columns", s.Rows, s.Cols)
	}
	return uint16(s.Rows), uint16(s.Cols), nil
}
