package embedded

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"chaos/stack"
	"chaos/stack/embedded/api"
	"chaos/stack/embedded/child"
	"chaos/stack/embedded/runner"
	"chaos/stack/embedded/sandbox"
	"chaos/stack/journal"
)

func init() {
	child.Register(keeperRole, func([]string) int {
		// The caller may be gone when we report; our input, not a signal, says when to end.
		signal.Ignore(syscall.SIGPIPE, syscall.SIGHUP, syscall.SIGINT)
		if err := keep(os.Stdin, os.Stdout); err != nil {
			return 1
		}
		return 0
	})
}

// keeper is the process that holds a stack together.
type keeper struct {
	order   order
	dir     string
	notes   []string
	log     logPlace
	logAddr string
	parts   map[stack.Part]*part
	api     *service
	runner  *service

	logSocket *os.File // of journald, held so that what is logged while it is down waits; nil = the journal is a file
	logWhole  bool     // nothing was lost when journald ended last

	mode       sandbox.Mode
	apiAddr    string
	runnerAddr string
	ports      []*os.File // hold the two addresses
	// lifeline is the end of a pipe that only this process has. When it is closed, by whatever end of this
	// process, the boxes end.
	lifeline, boxesEnd *os.File

	commands chan command
	spawn    sync.Mutex // held while a part is started, so that its process is known to reap
	mu       sync.Mutex
	out      *json.Encoder
}

// maxCommands is how many commands may wait.
const maxCommands = 64

// keep starts the stack that is ordered on in, does what commands say, and puts it away when in ends or
// SIGTERM comes.
func keep(in io.Reader, out io.Writer) error {
	// The kernel tells the parts when the thread that started them has ended: it must not be one that comes
	// and goes.
	runtime.LockOSThread()
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	lines := bufio.NewReader(in)
	first, err := lines.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read order: %w", err)
	}
	k := &keeper{
		out: json.NewEncoder(out), commands: make(chan command, maxCommands),
		parts: map[stack.Part]*part{stack.API: {}, stack.Runner: {}, stack.Journal: {}},
	}
	if err := json.Unmarshal(first, &k.order); err != nil {
		return fmt.Errorf("parse order: %w", err)
	}
	go func() {
		defer cancel() // the end of the input is a message, too
		k.listen(ctx, lines)
	}()
	err = k.start(ctx)
	if err == nil {
		k.say(report{
			Kind: "ready", Dir: k.dir, API: k.apiAddr, Runner: k.runnerAddr, Notes: k.notes, Log: k.log, PIDs: k.pids(),
		})
		go k.reapLoop(ctx.Done())
		k.watch(ctx)
	}
	err = errors.Join(err, k.stop())
	last := report{Kind: "stopped"}
	if err != nil {
		last.Error = err.Error()
	}
	k.say(last)
	return err
}

// listen takes commands until there are no more.
func (k *keeper) listen(ctx context.Context, lines *bufio.Reader) {
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var c command
		if err := json.Unmarshal(line, &c); err != nil {
			continue // nobody waits for an answer to it
		}
		select {
		case k.commands <- c:
		case <-ctx.Done():
			return
		}
	}
}

// say reports to the caller, who may be gone.
func (k *keeper) say(r report) {
	k.mu.Lock()
	defer k.mu.Unlock()
	_ = k.out.Encode(r)
}

func (k *keeper) pids() PIDs {
	return PIDs{
		Keeper: os.Getpid(), API: pidOf(k.parts[stack.API]), Runner: pidOf(k.parts[stack.Runner]), Journald: pidOf(k.parts[stack.Journal]),
	}
}

func (k *keeper) note(format string, args ...any) {
	k.notes = append(k.notes, fmt.Sprintf(format, args...))
}

// start brings the parts up, each before those that need it.
func (k *keeper) start(ctx context.Context) error {
	dir, err := os.MkdirTemp(k.order.Dir, "chaos-")
	if err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	k.dir = dir
	k.say(report{Kind: "dir", Dir: dir})
	if err := k.prepare(); err != nil {
		return err
	}
	k.startJournal(ctx)
	k.mode = k.isolation()
	if err := k.startAPI(ctx); err != nil {
		return err
	}
	if err := k.startRunner(ctx); err != nil {
		return err
	}
	return k.waitConnected(ctx)
}

// prepare gets what the parts keep over their restarts.
func (k *keeper) prepare() error {
	if err := adoptOrphans(); err != nil {
		return err
	}
	for _, addr := range []*string{&k.apiAddr, &k.runnerAddr} {
		a, hold, err := reserve()
		if err != nil {
			return err
		}
		*addr, k.ports = a, append(k.ports, hold)
	}
	var err error
	if k.boxesEnd, k.lifeline, err = os.Pipe(); err != nil {
		return fmt.Errorf("make lifeline of boxes: %w", err)
	}
	return nil
}

func (k *keeper) startAPI(ctx context.Context) error {
	k.spawn.Lock()
	defer k.spawn.Unlock()
	s, err := startService(ctx, api.Role, k.order.ID, k.dir, api.Config{
		Keys:        []api.Key{{Key: k.order.Key, Org: Org}, {Key: k.order.OtherKey, Org: OtherOrg}},
		RunnerToken: k.order.RunnerToken, AdminToken: k.order.AdminToken, Bugs: k.order.Bugs, Log: k.logAddr, StackID: k.order.ID,
		Profile: k.order.Profile, Autostart: k.order.Autostart, Listen: k.apiAddr, DataDir: filepath.Join(k.dir, "api"),
		BoxLimit: k.order.BoxLimit, CreateDelayMillis: int(k.order.CreateDelay.Milliseconds()), CreateDelayMostMillis: int(k.order.DelayMost.Milliseconds()),
	})
	if err != nil {
		return err
	}
	k.api, k.parts[stack.API] = s, &part{process: s}
	if k.order.Work != "" {
		k.say(report{Kind: "api", API: s.addr})
	}
	return nil
}

// adoptLimit is how long boxes wait for a runner to be started again.
const adoptLimit = time.Minute

func (k *keeper) startRunner(ctx context.Context) error {
	k.spawn.Lock()
	defer k.spawn.Unlock()
	work, pingMillis, silenceMillis := k.apiAddr, 0, 0
	if k.order.Work != "" {
		// Only a scheduler can make a caller vanish without a word.
		work, pingMillis, silenceMillis = k.order.Work, int(ping.Milliseconds()), int(silence.Milliseconds())
	}
	s, err := startService(ctx, runner.Role, k.order.ID, k.dir, runner.Config{
		Token: k.order.RunnerToken, APIURL: "http://" + work, APIToken: k.order.RunnerToken,
		StackID: k.order.ID, Dir: k.runnerDir(), SandboxMode: int(k.mode), Listen: k.runnerAddr,
		Bugs: k.order.Bugs, Log: k.logAddr, SyncMillis: int(k.order.Sync.Milliseconds()),
		KillGraceMillis: int(limits.Grace.Milliseconds()), PingMillis: pingMillis, SilenceMillis: silenceMillis,
		AdoptMillis: int(adoptLimit.Milliseconds()), Lifeline: serviceFD,
	}, k.boxesEnd)
	if err != nil {
		return err
	}
	k.runner, k.parts[stack.Runner] = s, &part{process: s}
	return nil
}

// startJournald starts the private journald, where there is one.
func (k *keeper) startJournald(ctx context.Context) error {
	k.spawn.Lock()
	defer k.spawn.Unlock()
	dir, again := filepath.Join(k.dir, "journal"), k.logSocket != nil
	if !again {
		sock, err := journal.BindSocket(dir)
		if err != nil {
			return err
		}
		k.logSocket = sock
	}
	d, err := journal.StartDaemonOn(ctx, dir, k.logSocket)
	if err != nil {
		return err
	}
	if again && !k.logWhole {
		if err := noteLoss(d.Socket()); err != nil {
			return errors.Join(err, d.Stop())
		}
	}
	k.logWhole = false // until it is known better
	k.parts[stack.Journal] = &part{process: journald{d}}
	k.log = logPlace{Dir: d.LogDir(), Varlink: d.Varlink()}
	k.logAddr = "unix:" + d.Socket()
	return nil
}

func (k *keeper) runnerDir() string { return runnerDir(k.dir) }

func runnerDir(dir string) string { return filepath.Join(dir, "runner") }

// startJournal starts a private journald, or settles for a file and says why.
func (k *keeper) startJournal(ctx context.Context) {
	why := "as ordered"
	if !k.order.FileJournal {
		err := k.startJournald(ctx)
		if err == nil {
			k.note("journal: private systemd-journald")
			return
		}
		why = err.Error()
		_ = k.logSocket.Close() // nil says so, too
		k.logSocket = nil
	}
	k.log = logPlace{File: filepath.Join(k.dir, "journal.ndjson")}
	k.logAddr = "file:" + k.log.File
	k.note("journal: file of JSON lines (%s)", why)
}

func (k *keeper) isolation() sandbox.Mode {
	if k.order.Sandbox != nil {
		mode := sandbox.Mode(*k.order.Sandbox)
		k.note("boxes: %v (as ordered)", mode)
		return mode
	}
	mode, why := sandbox.Probe()
	switch {
	case why == "":
		k.note("boxes: %v", mode)
	case mode == sandbox.UserNamespaces && os.Geteuid() != 0: // why not better needs no saying
		k.note("boxes: %v, as for everybody but root", mode)
	default:
		k.note("boxes: %v (%s)", mode, why)
	}
	return mode
}

// watch does what commands say and returns when the stack is to be stopped. A part that dies without
// having been told to is reported; the others stay, for whoever wants to look.
func (k *keeper) watch(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.parts[stack.API].died():
		case <-k.parts[stack.Runner].died():
		case <-k.parts[stack.Journal].died():
		case c := <-k.commands:
			k.noticeDeaths()
			k.say(k.obey(ctx, c))
		}
		k.noticeDeaths()
	}
}

// stop puts away whatever of the stack there is, in the order in which callers lose it.
func (k *keeper) stop() error {
	k.thawAll()
	deserted := !k.parts[stack.Runner].isUp()
	for _, which := range []stack.Part{stack.API, stack.Runner} {
		if p := k.parts[which]; p.process != nil {
			_ = p.Stop()
		}
	}
	errs := []error{k.endBoxes(deserted)}
	if p := k.parts[stack.Journal]; p.isUp() || p.process != nil && !p.down {
		errs = append(errs, p.Stop())
	}
	for _, f := range append(k.ports, k.boxesEnd, k.logSocket) {
		if f != nil {
			_ = f.Close()
		}
	}
	if k.dir != "" {
		errs = append(errs, removeDir(k.dir))
	}
	return errors.Join(errs...)
}

// endBoxes ends the boxes that the runner has not, which should be none unless they are deserted: there was
// no runner any more.
func (k *keeper) endBoxes(deserted bool) error {
	if k.lifeline != nil {
		_ = k.lifeline.Close()
	}
	left := 0
	for deadline := time.Now().Add(sweepTimeout); ; time.Sleep(time.Millisecond) {
		found, err := marked(stackVar, k.order.ID)
		if err != nil {
			return err
		}
		if left = len(found); left == 0 || !deserted || time.Now().After(deadline) {
			break
		}
	}
	killed := killMarked(stackVar, k.order.ID)
	k.reap()
	if left == 0 {
		return nil
	}
	return fmt.Errorf("%d processes of boxes outlived the runner and were killed", max(killed, left))
}
