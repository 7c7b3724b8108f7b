package cli

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"chaos/cmd/internal/campaign"
	"chaos/cmd/internal/report"
	"chaos/corpus/shrink"
	"chaos/stack/journal"
)

// Times of a service.
const (
	statusEvery = 5 * time.Second // between two STATUS lines
	// stuckAfter is how long no plan may end before systemd is left to think that the program hangs:
	// longer than a plan and its cleaning up take on a stack that does not answer.
	stuckAfter = 6 * time.Minute
)

// service tells systemd how a run is doing.
type service struct {
	show     *progress
	rig      *campaign.Rig
	watchdog time.Duration  // 0 = none is asked for
	log      journal.Writer // nil = not run by systemd
	stop     context.CancelFunc
	done     chan struct{}
}

// underSystemd reports whether systemd waits to hear from us.
func underSystemd() bool { return os.Getenv("NOTIFY_SOCKET") != "" }

// serveSystemd says that the run has begun, and how it is doing until close is called.
func serveSystemd(show *progress, st *openStack) *service {
	s := &service{show: show, rig: st.rig, done: make(chan struct{})}
	s.watchdog, _ = daemon.SdWatchdogEnabled(false) // an error means that the variables are wrong: then there is none
	if os.Getenv("JOURNAL_STREAM") != "" {
		s.log, _ = journal.DialWriter(nativeSocket) // without it stdout must do
	}
	s.say(6, "testing "+st.target.Describe(), nil)
	_, _ = daemon.SdNotify(false, daemon.SdNotifyReady) // nobody listens where there is no systemd
	var ctx context.Context
	ctx, s.stop = context.WithCancel(context.Background())
	go s.loop(ctx, st.ctx)
	return s
}

// nativeSocket takes entries with fields for the machine's journal.
const nativeSocket = "/run/systemd/journal/socket"

// loop sends STATUS and WATCHDOG until ctx ends; that run has been asked to end is said, too.
func (s *service) loop(ctx, run context.Context) {
	defer close(s.done)
	every := statusEvery
	if s.watchdog > 0 {
		every = min(every, s.watchdog/2)
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	stopping := run.Done()
	for {
		s.tell()
		select {
		case <-ctx.Done():
			return
		case <-stopping:
			stopping = nil
			_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping)
		case <-tick.C:
		}
	}
}

func (s *service) tell() {
	state := "STATUS=" + s.show.line()
	if quiet, plans := s.rig.Silence(); s.watchdog > 0 && (plans == 0 || quiet < stuckAfter) {
		state += "\n" + daemon.SdNotifyWatchdog
	}
	_, _ = daemon.SdNotify(false, state)
}

// close ends it.
func (s *service) close() {
	s.stop()
	<-s.done
	if s.log != nil {
		_ = s.log.Close()
	}
}

// say writes an entry into the machine's journal, where that is the log.
func (s *service) say(prio int, text string, fields map[string]string) {
	if s.log != nil {
		_ = s.log.Send(prio, "chaos", text, fields) // stdout has it as well
	}
}

// Found, Better and Saved implement campaign.Events: findings are entries with fields of their own.
func (s *service) Found(f campaign.Failure) {
	s.show.Found(f)
	s.say(4, "found "+f.Violation.Signature.String(), map[string]string{
		"CHAOS_SIGNATURE": f.Violation.Signature.String(), "CHAOS_INVARIANT": f.Violation.Signature.Invariant,
		"CHAOS_SEED": strconv.FormatInt(s.show.flags.seed, 10), "CHAOS_PLAN": strconv.Itoa(f.Index + 1)})
}

func (s *service) Better(f campaign.Failure, p shrink.Progress) { s.show.Better(f, p) }

func (s *service) Saved(f *campaign.Finding) {
	s.show.Saved(f)
	if f.Path != "" {
		s.say(4, fmt.Sprintf("saved %s (%s)", f.Path, report.Count(len(f.Case.Plan.Steps), "step")), map[string]string{
			"CHAOS_SIGNATURE": f.Violation.Signature.String(), "CHAOS_CASE": f.Name(), "CHAOS_RATE": f.Case.Certificate.String()})
	}
}
