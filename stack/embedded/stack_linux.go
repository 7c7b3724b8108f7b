package embedded

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"chaos/model"
	"chaos/stack/embedded/bugs"
	"chaos/stack/embedded/child"
	"chaos/stack/journal"
	"chaos/stack/proxy"
)

// Stack is a running embedded stack. Its methods may be called at the same time.
type Stack struct {
	order    order
	bugs     bugs.Set
	contract model.Contract
	ready    report
	log      journal.Reader
	proxy    *proxy.Proxy // nil without a scheduler

	cmd    *exec.Cmd
	input  io.WriteCloser
	errors *tail
	dead   chan error

	readied chan report   // the ready or stopped report that ends the start
	ended   chan struct{} // closed when the keeper is reaped
	last    report        // the last report of kind stopped; valid after ended
	dir     string        // valid after ended
	exit    error         // valid after ended

	mu      sync.Mutex // covers input, too
	pids    PIDs
	serial  int
	waiting map[int]chan report // by the serials of commands

	stopping chan struct{} // closed when Stop is called
	stopOnce sync.Once
	stopErr  error
}

// Start starts a stack and returns when it can make boxes. ctx bounds the start only; the stack runs
// until Stop. When it fails nothing is left.
func Start(ctx context.Context, o Options) (*Stack, error) {
	s, err := start(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("start embedded stack: %w", err)
	}
	return s, nil
}

func start(ctx context.Context, o Options) (*Stack, error) {
	contract, err := o.Contract()
	if err != nil {
		return nil, err
	}
	s := &Stack{
		bugs: o.Bugs, contract: contract, errors: &tail{}, dead: make(chan error, 8),
		waiting: map[int]chan report{}, readied: make(chan report, 1), ended: make(chan struct{}), stopping: make(chan struct{}),
		order: order{
			ID: secret("")[:16], Bugs: within(o.Bugs, contract).String(), Profile: contract.Profile, Autostart: contract.Lifecycle().Autostart,
			BoxLimit: o.BoxLimit, FileJournal: o.ForceFileJournal,
			CreateDelay: o.CreateDelay, DelayMost: o.CreateDelayMost, Sync: o.SyncInterval,
			Key: secret("blk_live_"), OtherKey: secret("blk_live_"), RunnerToken: secret(""), AdminToken: secret(""),
		},
	}
	if o.Dir != "" {
		abs, err := filepath.Abs(o.Dir)
		if err != nil {
			return nil, err
		}
		s.order.Dir = abs
	}
	if o.Sandbox != nil {
		mode := int(*o.Sandbox)
		s.order.Sandbox = &mode
	}
	if err := checkRoom(s.order.Dir); err != nil {
		return nil, err
	}
	if o.Schedule {
		if s.proxy, err = proxy.New(); err != nil {
			return nil, err
		}
		s.order.Work = s.proxy.Work()
	}
	if err := s.launch(); err != nil {
		return nil, errors.Join(err, s.closeProxy())
	}
	if err := s.waitReady(ctx); err != nil {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		return nil, errors.Join(err, s.Stop(bounded))
	}
	return s, nil
}

// secret returns prefix and 128 random bits.
func secret(prefix string) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return prefix + hex.EncodeToString(b[:])
}

func (s *Stack) launch() error {
	line, err := json.Marshal(s.order)
	if err != nil {
		return err
	}
	s.cmd = child.Command(keeperRole)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C is for the caller
	s.cmd.Stderr = s.errors
	if s.input, err = s.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	_, err = s.input.Write(append(line, '\n'))
	go s.listen(out)
	if err != nil {
		return errors.Join(err, s.Stop(context.Background()))
	}
	return nil
}

// listen takes the keeper's reports until it is gone.
func (s *Stack) listen(out io.Reader) {
	lines := bufio.NewReader(out)
	for {
		text, err := lines.ReadBytes('\n')
		if err != nil {
			break
		}
		var r report
		if json.Unmarshal(text, &r) != nil {
			continue
		}
		switch r.Kind {
		case "dir":
			s.dir = r.Dir
		case "api":
			s.proxy.SetAPI(r.API)
		case "ready":
			s.answered(r)
			s.readied <- r
		case "done":
			s.answered(r)
		case "dead":
			s.died(errors.New(r.Error))
		case "stopped":
			s.last = r
		}
	}
	s.exit = s.cmd.Wait()
	close(s.ended)
	select {
	case <-s.stopping:
	default:
		s.died(fmt.Errorf("keeper ended: %v%s", s.exit, s.errors))
	}
}

// died tells whoever listens. More than a few pieces of bad news say nothing new.
func (s *Stack) died(err error) {
	select {
	case s.dead <- err:
	default:
	}
}

func (s *Stack) waitReady(ctx context.Context) error {
	select {
	case s.ready = <-s.readied:
	case <-s.ended:
		if s.last.Error != "" {
			return errors.New(s.last.Error)
		}
		return fmt.Errorf("keeper ended: %v%s", s.exit, s.errors)
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.ready.Log.File != "" {
		s.log = journal.OpenFile(s.ready.Log.File)
	} else {
		var err error
		if s.log, err = journal.OpenDir(s.ready.Log.Dir, s.ready.Log.Varlink); err != nil {
			return err
		}
	}
	s.ready.Notes = append(s.ready.Notes, "journal reader: "+s.log.Describe())
	return nil
}

// URL is the base address of the API, without /v1.
func (s *Stack) URL() string {
	if s.contract.Profile == "serve" {
		return "http://" + s.ready.API
	}
	return "http://" + s.ready.API + "/api"
}

// front is the base address that the messages of plans go to.
func (s *Stack) front() string {
	if s.proxy == nil {
		return s.URL()
	}
	return strings.Replace(s.URL(), s.ready.API, s.proxy.Front(), 1)
}

func (s *Stack) closeProxy() error {
	if s.proxy == nil {
		return nil
	}
	return s.proxy.Close()
}

// Key is an API key of organization Org.
func (s *Stack) Key() string { return s.order.Key }

// OtherKey is an API key of organization OtherOrg, a second tenant.
func (s *Stack) OtherKey() string { return s.order.OtherKey }

// adminToken lets its holder open organizations.
func (s *Stack) adminToken() string { return s.order.AdminToken }

// RunnerURL is the address of the runner, which callers have no business with.
func (s *Stack) RunnerURL() string { return "http://" + s.ready.Runner }

// RunnerToken is the bearer token of the runner.
func (s *Stack) RunnerToken() string { return s.order.RunnerToken }

// Dir is the private directory of the stack.
func (s *Stack) Dir() string { return s.ready.Dir }

// Journal reads what API and runner log. Stop closes it.
func (s *Stack) Journal() journal.Reader { return s.log }

// Notes say how the stack was made: isolation, journal, reader, and why not better.
func (s *Stack) Notes() []string { return slices.Clone(s.ready.Notes) }

// Bugs are the seeded bugs that are switched on.
func (s *Stack) Bugs() bugs.Set { return s.bugs }

// Contract is what the stack keeps when no bug is switched on.
func (s *Stack) Contract() model.Contract { return s.contract }

// PIDs are the processes of the stack itself. One that is down has none.
func (s *Stack) PIDs() PIDs {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pids
}

// Dead yields an error for each part of the stack that ends without having been asked to.
func (s *Stack) Dead() <-chan error { return s.dead }

// Residue lists the processes and directories of boxes that are on the machine now, including
// those of boxes that live.
func (s *Stack) Residue(ctx context.Context) ([]Residue, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	found, err := marked(stackVar, s.order.ID)
	if err != nil {
		return nil, err
	}
	var out []Residue
	for _, p := range found {
		out = append(out, Residue{BoxID: p.box, PID: p.pid, Command: p.command})
	}
	dir := runnerDir(s.ready.Dir)
	ids, err := boxDirs(dir)
	for _, id := range ids {
		out = append(out, Residue{BoxID: id, Path: filepath.Join(dir, "boxes", id)})
	}
	return out, err
}

// Stop ends the stack and returns when none of its processes and files is left. It gives up, with
// an error, when ctx is done. Further calls return the same.
func (s *Stack) Stop(ctx context.Context) error {
	s.stopOnce.Do(func() {
		if err := s.stop(ctx); err != nil {
			s.stopErr = fmt.Errorf("stop embedded stack: %w", err)
		}
	})
	return s.stopErr
}

func (s *Stack) stop(ctx context.Context) error {
	close(s.stopping)
	var errs []error
	if s.log != nil {
		errs = append(errs, s.log.Close())
	}
	_ = s.input.Close() // broken already when the keeper is dead
	select {
	case <-s.ended:
	case <-ctx.Done():
		_ = s.cmd.Process.Kill()
		<-s.ended
		errs = append(errs, fmt.Errorf("keeper did not end: %w", ctx.Err()))
	}
	if s.last.Error != "" && s.ready.Kind != "" { // one that came instead of ready is known already
		errs = append(errs, errors.New(s.last.Error))
	}
	if s.last.Kind == "" {
		errs = append(errs, s.clear(ctx))
	}
	errs = append(errs, s.closeProxy())
	return errors.Join(errs...)
}

// clear does the keeper's work when it was killed. API and runner end by themselves, because what
// was left of it closed their input; journald takes its time.
func (s *Stack) clear(ctx context.Context) error {
	for pause := time.Millisecond; ctx.Err() == nil; pause = min(2*pause, 50*time.Millisecond) {
		left, err := marked(serviceVar, s.order.ID)
		if err != nil || len(left) == 0 {
			break
		}
		time.Sleep(pause)
	}
	killMarked(serviceVar, s.order.ID)
	killMarked(stackVar, s.order.ID)
	if s.dir == "" {
		return nil
	}
	killMarked("LOGS_DIRECTORY", filepath.Join(s.dir, "journal", "log"))
	return removeDir(s.dir)
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-2000):]
	return len(p), nil
}

// String is ": " and the text, or "" when there is none.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.text) == 0 {
		return ""
	}
	return ": " + string(t.text)
}
