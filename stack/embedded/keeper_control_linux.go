package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"chaos/stack"
	"chaos/stack/journal"
)

// process is a part of the stack as far as it is the same for all.
type process interface {
	PID() int
	Ended() <-chan struct{} // closed when it has ended and its parent has taken note
	Signal(sig syscall.Signal)
	// Stop ends it in good order, and returns when it has ended.
	Stop() error
}

// part is what the keeper knows of a part.
type part struct {
	process  // the last there was, nil = none yet
	down     bool
	frozen   bool
	reported bool // its death was
}

// isUp reports whether the part has a process that lives.
func (p *part) isUp() bool {
	if p.process == nil {
		return false
	}
	select {
	case <-p.Ended():
		return false
	default:
		return true
	}
}

// died is closed when the part has died without having been told to, and nobody was told yet.
func (p *part) died() <-chan struct{} {
	if p.process == nil || p.down || p.reported {
		return nil
	}
	return p.Ended()
}

// processes are those of the stack that this process is the parent of.
func (k *keeper) processes() []process {
	var out []process
	for _, p := range k.parts {
		if p.process != nil {
			out = append(out, p.process)
		}
	}
	return out
}

// Bounds of what a command may take.
const (
	startLimit  = 20 * time.Second
	signalLimit = 5 * time.Second
)

// obey does what c says and returns the report of it.
func (k *keeper) obey(ctx context.Context, c command) report {
	r := report{Kind: "done", Serial: c.Serial}
	if err := k.perform(ctx, c); err != nil {
		r.Error, r.Unsupported = err.Error(), errors.Is(err, errors.ErrUnsupported)
	}
	r.PIDs = k.pids()
	return r
}

func (k *keeper) perform(ctx context.Context, c command) error {
	p := k.parts[c.Part]
	switch {
	case p == nil:
		return fmt.Errorf("no part is called %q", c.Part)
	case c.Part == stack.Journal && k.log.File != "":
		return fmt.Errorf("the journal is a file: %w", errors.ErrUnsupported)
	}
	switch c.Verb {
	case verbKill:
		k.kill(p)
		return nil
	case verbStop:
		return k.halt(p, c.Part)
	case verbStart:
		if p.isUp() {
			return nil
		}
		ctx, cancel := context.WithTimeout(ctx, startLimit)
		defer cancel()
		if err := k.restart(ctx, c.Part); err != nil {
			return err
		}
		k.flushLogs(ctx)
		return nil
	case verbFreeze:
		return k.freeze(ctx, p)
	case verbThaw:
		err := k.thaw(ctx, p)
		k.flushLogs(ctx)
		return err
	case verbRotate:
		ctx, cancel := context.WithTimeout(ctx, signalLimit)
		defer cancel()
		return journal.Rotate(ctx, k.log.Varlink)
	}
	return fmt.Errorf("no verb is called %q", c.Verb)
}

func (k *keeper) kill(p *part) {
	up := p.isUp()
	p.down, p.frozen = true, false
	if !up {
		return
	}
	if d, ok := p.process.(journald); ok {
		k.logWhole = d.Kill()
	} else {
		p.Signal(syscall.SIGKILL)
		<-p.Ended()
	}
	_ = p.Stop() // gives back what we hold of it
}

func (k *keeper) halt(p *part, which stack.Part) error {
	up := p.isUp()
	p.down, p.frozen = true, false
	if !up {
		return nil
	}
	p.Signal(syscall.SIGCONT)
	if which == stack.Runner {
		k.runner.leave()
	}
	err := p.Stop()
	if which == stack.Journal {
		k.logWhole = err == nil
	}
	return err
}

func (k *keeper) freeze(ctx context.Context, p *part) error {
	if !p.isUp() {
		return errors.New("it is down")
	}
	p.Signal(syscall.SIGSTOP)
	p.frozen = true
	return k.await(ctx, p, true)
}

func (k *keeper) thaw(ctx context.Context, p *part) error {
	if !p.frozen || !p.isUp() {
		return nil
	}
	p.Signal(syscall.SIGCONT)
	p.frozen = false
	return k.await(ctx, p, false)
}

// await returns when all threads of p stand still, or none does.
func (k *keeper) await(ctx context.Context, p *part, still bool) error {
	ctx, cancel := context.WithTimeout(ctx, signalLimit)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		n, all := standing(p.PID())
		if still && n == all || !still && n == 0 {
			return nil
		}
		select {
		case <-p.Ended():
			return errors.New("it ended")
		case <-ctx.Done():
			return fmt.Errorf("%d of %d threads stand still: %w", n, all, ctx.Err())
		case <-tick.C:
		}
	}
}

// standing counts the threads of a process that are stopped, and all.
func standing(pid int) (n, all int) {
	tasks, _ := os.ReadDir(procFile(pid, "task"))
	for _, t := range tasks {
		stat, err := os.ReadFile(filepath.Join(procFile(pid, "task"), t.Name(), "stat"))
		if err != nil {
			continue // it has ended
		}
		all++
		if stateOf(stat) == 'T' {
			n++
		}
	}
	return n, all
}

// restart brings up a part that is down, with the address and everything else that it had.
func (k *keeper) restart(ctx context.Context, which stack.Part) error {
	var err error
	switch which {
	case stack.API:
		if err = k.startAPI(ctx); err == nil && k.parts[stack.Runner].isUp() && !k.parts[stack.Runner].frozen {
			err = k.waitConnected(ctx)
		}
	case stack.Runner:
		err = k.startRunner(ctx)
	case stack.Journal:
		err = k.startJournald(ctx)
	}
	return err
}

// thawAll lets everything that is frozen go on, without waiting.
func (k *keeper) thawAll() {
	for _, p := range k.parts {
		if p.isUp() {
			p.Signal(syscall.SIGCONT)
		}
	}
}

// name is what a part is called in reports.
func name(which stack.Part) string {
	if which == stack.Journal {
		return "journald"
	}
	return string(which)
}

// reportDeath says that a part has died by itself.
func (k *keeper) reportDeath(which stack.Part) {
	k.parts[which].reported = true
	text := name(which) + " ended"
	if s, ok := k.parts[which].process.(*service); ok {
		text = fmt.Sprintf("%s: %v%s", text, s.exit, s.lastWords())
	}
	k.say(report{Kind: "dead", Error: text})
}

// noticeDeaths reports the deaths that have not been reported.
func (k *keeper) noticeDeaths() {
	for which, p := range k.parts {
		select {
		case <-p.died():
			k.reportDeath(which)
		default:
		}
	}
}

func pidOf(p *part) int {
	if !p.isUp() {
		return 0
	}
	return p.PID()
}

// serviceFD is the number of the first file that a service is given.
const serviceFD = 3
