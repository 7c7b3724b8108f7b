package engine_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"chaos/model"
)

// fakeExec is one execution. Its script is not run by a shell: the fake reads it, command by command,
// and does what a shell would.
type fakeExec struct {
	f    *fake
	id   string
	box  *fakeBox
	dir  string
	env  map[string]string
	tty  bool
	laps int           // how often a watch looks
	dead chan struct{} // closed when it is killed
	over chan struct{} // closed when it has its exit code and all output is there

	mu         sync.Mutex
	chunks     []chunk
	more       chan struct{} // closed when a chunk comes or the exec is over
	code       int
	killed     bool
	deaf       bool
	ending     bool
	attached   bool // by somebody who may write
	forgotten  bool // deleted
	rows, cols int
	in         fakeInput
}

type chunk struct {
	stream byte
	data   []byte
}

type execRequest struct {
	Command string
	Args    []string
	Env     map[string]string
	Dir     string `json:"working_dir"`
	TTY     bool
	Timeout float64 `json:"timeout_seconds"`
}

func (f *fake) exec(q *http.Request, b *fakeBox) (int, any) {
	req := decode[execRequest](q)
	switch {
	case b.status == "running", b.status == "stopping" && !b.doomed && f.chance(50):
	default:
		return 409, short("stopped: box " + b.id + " is not running")
	}
	if req.Command != "sh" || !slices.Contains([]string{"", "/usr", "/etc", model.Home}, req.Dir) {
		b.refused++
		b.org.refused++
		return 422, short("Execution error: no such program or directory")
	}
	b.execs++
	b.org.execs++
	f.serial++
	e := &fakeExec{f: f, id: fmt.Sprintf("%08x-0000-4000-8000-000000000000", f.serial), box: b, dir: req.Dir, env: req.Env, tty: req.TTY,
		dead: make(chan struct{}), over: make(chan struct{}), more: make(chan struct{}), rows: 24, cols: 80, in: fakeInput{came: make(chan struct{}, 1)}}
	f.execs[e.id] = e
	f.print("exec started box_id=%s execution_id=%s", b.id, e.id)
	f.work.Go(func() { e.run(strings.Split(req.Args[1], "\n")) })
	if req.Timeout > 0 {
		f.work.Go(func() { e.limit(time.Duration(req.Timeout * float64(time.Second))) })
	}
	return 201, map[string]string{"execution_id": e.id}
}

// onExec looks up the exec of a request and handles it under the mutex of the fake.
func (f *fake) onExec(handle func(q *http.Request, e *fakeExec) (int, any)) func(q *http.Request) (int, any) {
	return func(q *http.Request) (int, any) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.box(q) == nil {
			return 404, flat(q, 404, "not_found", "box not found: "+q.PathValue("box"))
		}
		e := f.lookup(q)
		if e == nil {
			return 404, short("execution not found: " + q.PathValue("exec"))
		}
		return handle(q, e)
	}
}

// lookup finds the exec of a request; the caller holds the mutex.
func (f *fake) lookup(q *http.Request) *fakeExec {
	e := f.execs[q.PathValue("exec")]
	if e == nil || e.box != f.box(q) || e.box.removed {
		return nil
	}
	return e
}

func (f *fake) info(_ *http.Request, e *fakeExec) (int, any) {
	if !e.ended() {
		return 200, map[string]any{"execution_id": e.id, "status": "running"}
	}
	code := e.code
	if code > 129 && e.killed && f.chance(50) {
		code = 128 - code // the other way to tell a signal, but for 1, where it would say "not known"
	}
	return 200, map[string]any{"execution_id": e.id, "status": "completed", "exit_code": code}
}

func (f *fake) kill(_ *http.Request, e *fakeExec) (int, any) {
	e.mu.Lock()
	e.forgotten = true
	e.mu.Unlock()
	e.die(137)
	f.mu.Unlock()
	<-e.over
	f.mu.Lock()
	delete(f.execs, e.id)
	return 204, nil
}

func (f *fake) signal(q *http.Request) (int, any) {
	n := decode[struct{ Signal int }](q).Signal
	switch n {
	case 1, 2, 3, 6, 10, 12, 15, 28:
	default:
		return 400, short(fmt.Sprintf("invalid argument: signal %d is not allowed", n))
	}
	return f.onExec(func(_ *http.Request, e *fakeExec) (int, any) {
		if e.ended() {
			return 409, short("invalid state: it has finished")
		}
		if n != 28 && !(n == 15 && e.isDeaf()) {
			e.die(128 + n)
		}
		return 204, nil
	})(q)
}

func (f *fake) resize(q *http.Request, e *fakeExec) (int, any) {
	size := decode[struct{ Rows, Cols int }](q)
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.endedLocked():
		return 409, short("invalid state: it has finished")
	case !e.tty:
		return 400, short("invalid argument: no terminal to resize")
	}
	e.rows, e.cols = size.Rows, size.Cols
	return 204, nil
}

// limit ends the exec after d, or soon after if it ignores that.
func (e *fakeExec) limit(d time.Duration) {
	if e.f.wait(d, e.over) && !e.isDeaf() {
		e.die(143)
	}
	if e.f.wait(e.f.limits.Grace, e.over) {
		e.die(137)
	}
}

func (e *fakeExec) isDeaf() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.deaf
}

// die kills the exec, which then ends with code. Only the first call counts.
func (e *fakeExec) die(code int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.killed && !e.ending {
		e.killed, e.code = true, code
		close(e.dead)
	}
}

func (e *fakeExec) ended() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.endedLocked()
}

func (e *fakeExec) endedLocked() bool {
	select {
	case <-e.over:
		return true
	default:
		return false
	}
}

// run does what the script says until it exits or is killed.
func (e *fakeExec) run(script []string) {
	code := 0
	for i := 0; i < len(script) && !e.isDead(); i++ {
		line := script[i]
		if n, ok := strings.CutPrefix(line, "exit "); ok {
			code, _ = strconv.Atoi(n)
			break
		}
		if out, ok := strings.CutSuffix(line, " &"); ok && !childLine.MatchString(line) {
			e.write(e.output(out), e.output(strings.TrimSuffix(script[i+2], " >&2")))
			i += 3
			continue
		}
		e.command(line)
	}
	e.mu.Lock()
	e.ending = true // too late to be killed
	if !e.killed {
		e.code = code
	}
	e.mu.Unlock()
	e.f.mu.Lock()
	e.f.print("exec finished box_id=%s execution_id=%s exit_code=%d", e.box.id, e.id, e.code)
	e.f.mu.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	close(e.over)
	close(e.more)
}

func (e *fakeExec) isDead() bool {
	select {
	case <-e.dead:
		return true
	case <-e.f.ctx.Done():
		return true
	default:
		return false
	}
}

var (
	sleepLine = regexp.MustCompile(`^sleep ([0-9.]+)$`)
	echoLine  = regexp.MustCompile(`^echo "(.*)"$`)
	watchLine = regexp.MustCompile(`^while .*echo "(.*)\$s"; p=\$s; .*sleep ([0-9.]+); done$`)
	awkLine   = regexp.MustCompile(`^awk 'BEGIN\{h=(\d+);for\(i=(\d+);i<=(\d+);i\+\+\)\{h=\(h\*31\+i\*7\)%999983;printf "(.*) %06d %06d(.*)\\n",i,h\}\}'$`)
)

func (e *fakeExec) command(line string) {
	if e.home(line) {
		return
	}
	if m := sleepLine.FindStringSubmatch(line); m != nil {
		e.f.wait(seconds(m[1]), e.dead)
		return
	}
	if m := echoLine.FindStringSubmatch(line); m != nil {
		e.emit(1, m[1]+"\n")
		return
	}
	if m := watchLine.FindStringSubmatch(line); m != nil {
		last := ""
		for range e.laps {
			if size := e.expand("$(stty size)"); size != last {
				e.emit(1, m[1]+size+"\n")
				last = size
			}
			if !e.f.wait(seconds(m[2]), e.dead) {
				return
			}
		}
		return
	}
	switch {
	case line == "trap '' TERM":
		e.mu.Lock()
		e.deaf = true
		e.mu.Unlock()
	case e.reads(line):
	case strings.HasPrefix(line, "n="):
		_, _ = fmt.Sscanf(line, "n=%d;", &e.laps)
	case line == "":
	case strings.HasSuffix(line, " >&2"):
		e.write("", e.output(strings.TrimSuffix(line, " >&2")))
	default:
		e.write(e.output(line), "")
	}
}

// output is what a printf or awk of the script prints.
func (e *fakeExec) output(command string) string {
	if args, ok := strings.CutPrefix(command, `printf '%s\n' '`); ok {
		return strings.ReplaceAll(strings.TrimSuffix(args, "'"), "' '", "\n") + "\n"
	}
	m := awkLine.FindStringSubmatch(command)
	if m == nil {
		e.f.t.Errorf("the fake cannot run %q", command)
		return ""
	}
	h, _ := strconv.Atoi(m[1])
	from, _ := strconv.Atoi(m[2])
	to, _ := strconv.Atoi(m[3])
	var b strings.Builder
	for i := from; i <= to; i++ {
		h = (h*31 + i*7) % 999983
		fmt.Fprintf(&b, "%s %06d %06d%s\n", m[4], i, h, m[5])
	}
	return b.String()
}

// write writes to both streams, in pieces that come in any order, each stream in its own.
func (e *fakeExec) write(out, errOut string) {
	for out+errOut != "" && !e.isDead() {
		e.f.mu.Lock()
		n, toErr := 1+e.f.rnd.IntN(1+e.f.rnd.IntN(16<<10)), e.f.chance(50)
		e.f.mu.Unlock()
		if toErr && errOut != "" || out == "" {
			n = min(n, len(errOut))
			e.emit(2, errOut[:n])
			errOut = errOut[n:]
		} else {
			n = min(n, len(out))
			e.emit(1, out[:n])
			out = out[n:]
		}
	}
}

// expand does what a shell does inside double quotes.
func (e *fakeExec) expand(text string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.NewReplacer("$(pwd)", e.dir, "$(stty size)", fmt.Sprintf("%d %d", e.rows, e.cols)).Replace(text)
}

// emit adds to the output. A terminal merges the streams and ends lines its own way.
func (e *fakeExec) emit(stream byte, text string) {
	text = e.expand(text)
	if e.tty {
		stream, text = 1, strings.ReplaceAll(text, "\n", "\r\n")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.chunks = append(e.chunks, chunk{stream, []byte(text)})
	close(e.more)
	e.more = make(chan struct{})
}

// next returns the chunks from i on; when there are none yet, what to wait for; ok is false when
// there will be none.
func (e *fakeExec) next(i int) (more []chunk, wait <-chan struct{}, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.chunks[i:], e.more, len(e.chunks) > i || !e.endedLocked()
}
