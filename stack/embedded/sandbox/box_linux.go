package sandbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"chaos/stack/embedded/child"
)

// role is the name the init is registered under.
const role = "boxinit"

// tokenEnv marks the processes of a box without namespaces, so that they can be found when their
// init was killed before it could end them.
const tokenEnv = "CHAOS_SANDBOX"

// plainGrace is how long the init of a box without namespaces may take to end its processes.
const plainGrace = 20 * time.Second

// Box is a running box. Its methods may be called from several goroutines.
type Box struct {
	conn  callerConn
	init  initProcess
	mode  Mode
	token string // "KEY=value", Plain mode only

	mu     sync.Mutex
	seq    uint64
	calls  map[uint64]*call    // requests without an answer yet
	procs  map[uint64]*Process // execs that run
	closed bool                // the init answers no more

	readDone chan struct{}
	gone     chan struct{}
	leftover error // set before gone is closed
}

// call is a request that waits for its answer.
type call struct {
	proc   *Process   // for an exec: what to fill in and register
	answer chan reply // one reply, or closed when the init is dead
}

// Start starts a box. It is up when Start returns; ctx bounds the start only. Starting again with
// the Dir of a box that is gone keeps its files in /root, /home, /workspace, /var and /srv.
func Start(ctx context.Context, cfg Config) (*Box, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Hostname == "" {
		cfg.Hostname = "box"
	}
	if err := makeKeptDirs(cfg.Dir); err != nil {
		return nil, err
	}
	conn, theirs, err := newConn()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	b := &Box{
		conn: conn, mode: cfg.Mode,
		calls: map[uint64]*call{}, procs: map[uint64]*Process{},
		readDone: make(chan struct{}), gone: make(chan struct{}),
	}
	if cfg.Mode == Plain {
		b.token = tokenEnv + "=" + rand.Text()
		cfg.Env = append(slices.Clip(cfg.Env), b.token)
	}
	log := filepath.Join(cfg.Dir, "init.log")
	setup, err := b.launch(cfg, theirs, log)
	if err != nil {
		conn.Close()
		return nil, err
	}
	theirs.Close()
	_, err = b.greet(ctx, setup)
	go b.read()
	go b.wait()
	if err != nil {
		err = errors.Join(err, b.Kill())
		if text, _ := os.ReadFile(log); len(text) > 0 {
			err = fmt.Errorf("%w\n%s", err, text[:min(len(text), 2000)])
		}
		return nil, fmt.Errorf("start box: %w", err)
	}
	return b, nil
}

func makeKeptDirs(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create box directory: %w", err)
	}
	for _, name := range append([]string{".mnt"}, keptDirs...) {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			return fmt.Errorf("create box directory: %w", err)
		}
	}
	return nil
}

// launch starts the init process and returns the request that has it build the box. What it prints,
// which is a crash at most, goes to the file log.
func (b *Box) launch(cfg Config, sock *os.File, log string) (request, error) {
	setup := request{
		Op: opSetup, Mode: cfg.Mode, Dir: []byte(cfg.Dir), Hostname: cfg.Hostname, Env: toBytes(cfg.Env), Linger: cfg.Linger,
	}
	out, err := os.Create(log)
	if err != nil {
		return setup, fmt.Errorf("create init log: %w", err)
	}
	defer out.Close()
	cmd := child.Command(role)
	// A box holds many inits at once and each has little to do: keep them small. The caller's
	// variables come first so that they cannot change what the init is.
	cmd.Env = slices.Concat(cfg.Env, cmd.Env, []string{"GOMAXPROCS=1", "GOGC=50", "GODEBUG="})
	cmd.Stderr = out
	cmd.ExtraFiles = []*os.File{sock}
	if cfg.Linger > 0 {
		door, err := bindDoor(cfg.Dir)
		if err != nil {
			return setup, err
		}
		defer door.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, door)
		setup.Listener = 2 + len(cmd.ExtraFiles)
	}
	if cfg.Lifeline != nil {
		cmd.ExtraFiles = append(cmd.ExtraFiles, cfg.Lifeline)
		setup.Lifeline = 2 + len(cmd.ExtraFiles)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if cfg.Mode != Plain {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS |
			syscall.CLONE_NEWIPC | syscall.CLONE_NEWNET
	}
	if cfg.Mode == UserNamespaces {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	if err := cmd.Start(); err != nil {
		return setup, fmt.Errorf("start box with %v: %w", cfg.Mode, err)
	}
	b.init = ownInit{cmd}
	return setup, nil
}

// greet makes the first request of a caller, the only exchange before the reader runs.
func (b *Box) greet(ctx context.Context, first request) (reply, error) {
	stop := context.AfterFunc(ctx, func() { _ = b.conn.SetDeadline(time.Unix(1, 0)) })
	r, fds, err := reply{Exit: true}, []int(nil), b.conn.send(first, nil)
	for err == nil && r.Exit { // an exec of an earlier caller may end at this moment
		r, fds, err = b.conn.receive(make([]byte, maxPacket+1))
		closeAll(fds)
	}
	switch {
	case !stop():
		return r, context.Cause(ctx)
	case err != nil:
		return r, fmt.Errorf("set up box: %w", err)
	case r.Kind != 0:
		return r, errors.New(r.Msg)
	}
	return r, nil
}

// InitPID is the process id of the box's init, as the host sees it.
func (b *Box) InitPID() int { return b.init.pid() }

// Gone is closed when the box's init is dead. Every Process of the box is Exited by then
// and, unless Kill says otherwise, none of its processes is left.
func (b *Box) Gone() <-chan struct{} { return b.gone }

// Kill ends every process of the box and returns when none is left. It may be called more than
// once. The error names what could not be killed; only a box without namespaces can have one.
func (b *Box) Kill() error {
	if b.mode != Plain {
		// The kernel ends all processes of the namespace before the init can be waited for.
		b.init.signal(syscall.SIGKILL)
		<-b.gone
		return b.leftover
	}
	b.tell(request{Op: opQuit})
	_ = b.conn.CloseWrite()
	b.init.signal(syscall.SIGCONT)
	t := time.NewTimer(plainGrace)
	defer t.Stop()
	select {
	case <-b.gone:
	case <-t.C:
		b.init.signal(syscall.SIGKILL)
		<-b.gone
	}
	return b.leftover
}

// wait closes gone once everything else has ended.
func (b *Box) wait() {
	clean := b.init.wait()
	// What the init sent before it died is in the socket and still counts.
	_ = b.conn.SetReadDeadline(time.Now().Add(plainGrace))
	<-b.readDone
	_ = b.conn.Close()
	if b.mode == Plain && !clean {
		b.leftover = killMarked(b.token)
	}
	b.mu.Lock()
	procs := b.procs
	b.procs = nil
	b.mu.Unlock()
	for _, p := range procs {
		p.finish(exitKilled)
	}
	close(b.gone)
}

// read hands out what the init sends, until the init is dead.
func (b *Box) read() {
	defer close(b.readDone)
	buf := make([]byte, maxPacket+1)
	for {
		r, fds, err := b.conn.receive(buf)
		if err != nil {
			break
		}
		if r.Exit {
			b.exited(r)
		} else {
			b.answered(r, fds)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for _, c := range b.calls {
		close(c.answer)
	}
	b.calls = nil
}

func (b *Box) exited(r reply) {
	b.mu.Lock()
	p := b.procs[r.Seq]
	delete(b.procs, r.Seq)
	b.mu.Unlock()
	if p != nil {
		p.finish(r.Code)
	}
}

func (b *Box) answered(r reply, fds []int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.calls[r.Seq]
	delete(b.calls, r.Seq)
	started := r.PID != 0
	switch {
	case c == nil && started:
		b.discard(r, fds)
		return
	case c == nil:
		return
	case started && c.proc.tty && len(fds) == 0:
		// The kernel drops a descriptor it cannot install.
		b.discard(r, fds)
		r = reply{Seq: r.Seq, Kind: KindOther, Msg: "too many open files"}
	case started:
		c.proc.begin(r.PID, fds)
		b.procs[r.Seq] = c.proc
	}
	c.answer <- r
}

// discard ends an exec that nobody will own. It must not hold up the reader.
func (b *Box) discard(started reply, fds []int) {
	closeAll(fds)
	go func() {
		_, _ = b.ask(context.Background(), request{Op: opKillGroup, Exec: started.Seq, PID: started.PID}, nil, nil)
		b.tell(request{Op: opRelease, Exec: started.Seq})
	}()
}

// ask sends a request and waits for its answer, for ctx, or for the end of the box.
func (b *Box) ask(ctx context.Context, r request, fds []int, p *Process) (reply, error) {
	c := &call{proc: p, answer: make(chan reply, 1)}
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return reply{}, ErrGone
	}
	b.seq++
	r.Seq = b.seq
	b.calls[r.Seq] = c
	if p != nil {
		p.id = r.Seq
	}
	b.mu.Unlock()

	if err := b.conn.send(r, fds); err != nil {
		b.forget(r.Seq)
		return reply{}, err
	}
	select {
	case a, ok := <-c.answer:
		return answerOr(a, ok)
	case <-ctx.Done():
	}
	if b.forget(r.Seq) {
		return reply{}, context.Cause(ctx)
	}
	// The answer came at the same moment, so there is something to own.
	a, ok := <-c.answer
	return answerOr(a, ok)
}

func answerOr(a reply, ok bool) (reply, error) {
	if !ok {
		return a, ErrGone
	}
	return a, nil
}

// forget withdraws a request that has no answer yet, and reports whether there was one.
func (b *Box) forget(seq uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.calls[seq]
	delete(b.calls, seq)
	return ok
}

// tell sends a request that has no answer. A dead box needs none.
func (b *Box) tell(r request) { _ = b.conn.send(r, nil) }

func toBytes(list []string) [][]byte {
	out := make([][]byte, len(list))
	for i, s := range list {
		out[i] = []byte(s)
	}
	return out
}
