package embedded

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

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
	journal *journal.Daemon // nil when the journal is a file
	api     *service
	runner  *service

	mu  sync.Mutex
	out *json.Encoder
}

// keep starts the stack that is ordered on in and puts it away when in ends or SIGTERM comes.
func keep(in io.Reader, out io.Writer) error {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	lines := bufio.NewReader(in)
	first, err := lines.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read order: %w", err)
	}
	k := &keeper{out: json.NewEncoder(out)}
	if err := json.Unmarshal(first, &k.order); err != nil {
		return fmt.Errorf("parse order: %w", err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, lines) // its end is the message
		cancel()
	}()
	err = k.start(ctx)
	if err == nil {
		k.say(report{
			Kind: "ready", Dir: k.dir, API: k.api.addr, Runner: k.runner.addr, Notes: k.notes, Log: k.log, PIDs: k.pids(),
		})
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

// say reports to the caller, who may be gone.
func (k *keeper) say(r report) {
	k.mu.Lock()
	defer k.mu.Unlock()
	_ = k.out.Encode(r)
}

func (k *keeper) pids() PIDs {
	p := PIDs{Keeper: os.Getpid(), API: k.api.cmd.Process.Pid, Runner: k.runner.cmd.Process.Pid}
	if k.journal != nil {
		p.Journald = k.journal.PID()
	}
	return p
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
	k.startJournal(ctx)
	mode := k.isolation()
	k.api, err = startService(ctx, api.Role, k.order.ID, dir, api.Config{
		Keys:        []api.Key{{Key: k.order.Key, Org: Org}, {Key: k.order.OtherKey, Org: OtherOrg}},
		RunnerToken: k.order.RunnerToken, AdminToken: k.order.AdminToken, Bugs: k.order.Bugs, Log: k.logAddr, StackID: k.order.ID,
		Profile: k.order.Profile, Autostart: k.order.Autostart,
		BoxLimit: k.order.BoxLimit, CreateDelayMillis: int(k.order.CreateDelay.Milliseconds()), CreateDelayMostMillis: int(k.order.DelayMost.Milliseconds()),
	})
	if err != nil {
		return err
	}
	k.runner, err = startService(ctx, runner.Role, k.order.ID, dir, runner.Config{
		Token: k.order.RunnerToken, APIURL: "http://" + k.api.addr, APIToken: k.order.RunnerToken,
		StackID: k.order.ID, Dir: k.runnerDir(), SandboxMode: int(mode),
		Bugs: k.order.Bugs, Log: k.logAddr, SyncMillis: int(k.order.Sync.Milliseconds()),
		KillGraceMillis: int(limits.Grace.Milliseconds()),
	})
	if err != nil {
		return err
	}
	return k.waitConnected(ctx)
}

func (k *keeper) runnerDir() string { return runnerDir(k.dir) }

func runnerDir(dir string) string { return filepath.Join(dir, "runner") }

// startJournal starts a private journald, or settles for a file and says why.
func (k *keeper) startJournal(ctx context.Context) {
	why := "as ordered"
	if !k.order.FileJournal {
		d, err := journal.StartDaemon(ctx, filepath.Join(k.dir, "journal"))
		if err == nil {
			k.journal = d
			k.log = logPlace{Dir: d.LogDir(), Varlink: d.Varlink()}
			k.logAddr = "unix:" + d.Socket()
			k.note("journal: private systemd-journald")
			return
		}
		why = err.Error()
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

// waitConnected returns when the runner has asked the API for work.
func (k *keeper) waitConnected(ctx context.Context) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		connected, err := k.connected(ctx)
		if connected {
			return nil
		}
		select {
		case <-k.api.ended:
			return fmt.Errorf("api ended at once: %v%s", k.api.exit, k.api.lastWords())
		case <-k.runner.ended:
			return fmt.Errorf("runner ended at once: %v%s", k.runner.exit, k.runner.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("wait for the runner at the API: %w (last: %v)", ctx.Err(), err)
		case <-tick.C:
		}
	}
}

func (k *keeper) connected(ctx context.Context) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+k.api.addr+"/api/health", nil)
	if err != nil {
		return false, fmt.Errorf("make health request: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, fmt.Errorf("get health: %w", err)
	}
	defer resp.Body.Close()
	var h struct {
		Runner bool `json:"runner"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&h); err != nil {
		return false, fmt.Errorf("read health: %w", err)
	}
	return h.Runner, nil
}

// watch returns when the stack is to be stopped. A part that dies before is reported; the others
// stay, for whoever wants to look.
func (k *keeper) watch(ctx context.Context) {
	api, run := k.api.ended, k.runner.ended
	var log <-chan struct{}
	if k.journal != nil {
		log = k.journal.Exited()
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-api:
			api = nil
			k.say(report{Kind: "dead", Error: fmt.Sprintf("api ended: %v%s", k.api.exit, k.api.lastWords())})
		case <-run:
			run = nil
			k.say(report{Kind: "dead", Error: fmt.Sprintf("runner ended: %v%s", k.runner.exit, k.runner.lastWords())})
		case <-log:
			log = nil
			k.say(report{Kind: "dead", Error: "journald ended"})
		}
	}
}

// stop puts away whatever of the stack there is, in the order in which callers lose it.
func (k *keeper) stop() error {
	for _, s := range []*service{k.api, k.runner} {
		if s != nil {
			s.stop()
		}
	}
	var errs []error
	if killed := killMarked(stackVar, k.order.ID); killed > 0 {
		errs = append(errs, fmt.Errorf("%d processes of boxes outlived the runner and were killed", killed))
	}
	if k.journal != nil {
		errs = append(errs, k.journal.Stop())
	}
	if k.dir != "" {
		errs = append(errs, removeDir(k.dir))
	}
	return errors.Join(errs...)
}
