package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"chaos/cmd/internal/campaign"
	"chaos/model"
	"chaos/stack"
	"chaos/stack/embedded"
	"chaos/stack/embedded/bugs"
	"chaos/stack/live"
)

// stackFlags say which stack to work on.
type stackFlags struct {
	stack    string
	bugs     string
	key      string
	otherKey string
	schedule bool   // the messages of plans are to be scheduled
	broken   string // faults that plans may have, comma-separated
	contractFlags
	liveFlags
}

func (f *stackFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.stack, "stack", "embedded", "embedded, or the URL of a running stack without /v1, like http://127.0.0.1:3000/api")
	cmd.Flags().StringVar(&f.bugs, "bug", "", "seeded bugs to switch on in the embedded stack, comma-separated; chaos bugs lists them")
	f.addLive(cmd.Flags())
	f.addContract(cmd.Flags())
	f.settleBefore(cmd)
}

// check reports mistakes in the flags without starting anything.
func (f *stackFlags) check() (bugs.Set, error) {
	set, err := bugs.Parse(f.bugs)
	if err != nil {
		return nil, usagef("--bug: %v", err)
	}
	if f.stack == "embedded" && f.otherKey != "" {
		return nil, usagef("--other-key is for a stack given by URL; name it with --stack")
	}
	if f.stack == "embedded" && f.key != "" {
		return nil, usagef("--key is for a stack given by URL; name it with --stack")
	}
	if f.stack != "embedded" && !strings.Contains(f.stack, "://") {
		return nil, usagef("--stack %q is neither \"embedded\" nor a URL", live.Shown(f.stack))
	}
	if f.stack != "embedded" {
		if err := f.config().Check(); err != nil {
			return nil, err
		}
	}
	if f.stack != "embedded" && f.schedule {
		return nil, usagef("--schedule on is for the embedded stack; its scheduler must stand before API and runner")
	}
	if f.stack != "embedded" && f.bugs != "" {
		return nil, usagef("--bug switches bugs on in the embedded stack; it cannot be used with --stack %s", f.stack)
	}
	if base, has := cutVersion(f.stack); has {
		return nil, usagef("--stack %s: leave /v1 off: --stack %s", f.stack, base)
	}
	if _, err := f.resolve(f.stack == "embedded", set); err != nil {
		return nil, err
	}
	return set, nil
}

// openStack is a stack in use, with a rig on it.
type openStack struct {
	target stack.Target
	rig    *campaign.Rig
	ctx    context.Context // ends with the caller's, and when the stack dies by itself: then its cause is a deadStack
	notes  []string
	close  func()
}

// use puts a rig on target and watches it. down is called last when it is closed, or at once on an error.
func use(ctx context.Context, target stack.Target, notes []string, down func()) (*openStack, error) {
	rig, err := campaign.NewRig(target)
	if err != nil {
		down()
		return nil, err
	}
	watched, cancel := watch(ctx, target)
	return &openStack{target: target, rig: rig, ctx: watched, notes: notes, close: func() {
		cancel(nil)
		rig.Close()
		down()
	}}, nil
}

// stopLimit is how long the embedded stack may take to stop.
const stopLimit = 20 * time.Second

// done is what is done to the stack, as bugs need it.
func (f *stackFlags) done() []string {
	out := strings.Split(f.broken, ",")
	if f.schedule {
		out = append(out, scheduled)
	}
	return out
}

// open starts or reaches the stack. Close it after use.
func (f *stackFlags) open(ctx context.Context) (*openStack, error) {
	set, err := f.check()
	if err != nil {
		return nil, err
	}
	contract, err := f.resolve(f.stack == "embedded", set)
	if err != nil {
		return nil, err
	}
	if f.stack == "embedded" {
		st, err := openEmbedded(ctx, set, contract, f.schedule)
		if err == nil {
			st.notes = append([]string{"stack: embedded, as " + f.origin}, st.notes...)
			if f.profile == auto {
				st.notes = append(st.notes, "contract: "+contract.String()+", which the embedded stack plays unless told otherwise")
			}
			st.notes = append(st.notes, cannotShow(set, contract, f.done())...)
		}
		return st, err
	}
	cfg := f.config()
	cfg.Profile, cfg.Flags = contract.Profile, contract.Flags
	var seen []string
	if f.profile == auto {
		if seen, err = f.findContract(ctx, &cfg); err != nil {
			return nil, err
		}
	}
	t, err := live.Connect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	f.sayOrigin()
	return use(ctx, t, append(seen, f.liveNotes(t)...), t.Close)
}

// liveNotes say how a stack given by URL is worked on, and what is not looked at there.
func (f *stackFlags) liveNotes(t *live.Target) []string {
	notes := []string{"stack: from " + f.origin,
		fmt.Sprintf("caps: %d boxes at once, %d creates a minute, %d MiB of output; boxes stop after %s idle and go %s later", f.boxes, f.creates, f.outputMiB, f.autoStop, f.autoDelete)}
	if j := t.Journal(); j != nil {
		notes = append(notes, "journal: "+j.Describe())
	} else {
		notes = append(notes, "journal: not read (--journal), so what the runner saw is not judged")
	}
	if t.Control() != nil {
		notes = append(notes, "control: "+f.control)
	}
	notes = append(notes, "leftovers: the machine of the stack is not searched", "limit of boxes: not known, so quotas and the counts of the organization are not judged")
	if f.otherAPIKey() == "" {
		notes = append(notes, "other organizations: no key of one (--other-key), so what they can reach is not tried")
	}
	return notes
}

// reach looks whether a stack given by URL is there, for commands that need it much later.
func (f *stackFlags) reach(ctx context.Context) error {
	if f.stack == "embedded" {
		return nil
	}
	st, err := f.open(ctx)
	if err != nil {
		return err
	}
	st.close()
	return nil
}

// syncInterval is how often the embedded runner reports. Upstream does every ten seconds; a shorter
// interval gives more chances to whatever goes wrong around a report.
const syncInterval = 15 * time.Millisecond

func openEmbedded(ctx context.Context, set bugs.Set, contract model.Contract, schedule bool) (*openStack, error) {
	s, err := embedded.Start(ctx, embedded.Options{Bugs: set, Profile: contract.Profile, Flags: contract.Flags, SyncInterval: syncInterval, Schedule: schedule})
	if err != nil {
		return nil, &startError{err}
	}
	t := embedded.NewTarget(s)
	return use(ctx, t, s.Notes(), func() {
		t.Close()
		ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
		defer cancel()
		_ = s.Stop(ctx) // the keeper ends everything even when it is slow to say so
	})
}

// startError is an embedded stack that did not come up, whatever the reason.
type startError struct{ err error }

func (e *startError) Error() string {
	const doing = "start embedded stack: "
	return doing + strings.TrimPrefix(e.err.Error(), doing)
}
func (e *startError) Unwrap() error { return e.err }

// watch ends ctx when the stack dies by itself; cause tells that it did.
func watch(ctx context.Context, t stack.Target) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case err := <-t.Dead():
			cancel(&deadStack{err})
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// deadStack is the cause of a context that ended because the stack did.
type deadStack struct{ err error }

func (d *deadStack) Error() string {
	var stop *live.StopError
	if errors.As(d.err, &stop) {
		return stop.Text
	}
	return fmt.Sprintf("the stack has ended by itself: %v", d.err)
}
