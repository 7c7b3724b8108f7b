package embedded

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"chaos/model"
	"chaos/stack"
	"chaos/stack/journal"
)

// limits are the deadlines of the embedded stack. Everything takes milliseconds here; the rest is
// slack for a machine that is busy with something else.
var limits = model.Limits{Call: 40 * time.Second, Resolve: 4 * time.Second, Grace: 250 * time.Millisecond, Converge: 4 * time.Second, Slot: 4 * time.Second, Stall: 400 * time.Millisecond}

// runnerUnit is the identifier under which the runner logs.
const runnerUnit = "boxlite-runner"

// Target is the embedded stack as the engine sees it.
type Target struct {
	stack  *Stack
	client *stack.Client
	admin  *stack.Client
}

var _ stack.Target = (*Target)(nil)

// NewTarget returns s as a target. Close it before s is stopped.
func NewTarget(s *Stack) *Target {
	c := stack.New(stack.Endpoint{URL: s.URL(), Key: s.Key()})
	return &Target{stack: s, client: c, admin: c.As(s.adminToken(), "")}
}

// Close drops the client's connections.
func (t *Target) Close() { t.client.Close() }

// Client implements stack.Target.
func (t *Target) Client() *stack.Client { return t.client }

// leaseQuota is how many boxes a plan may have at once: few enough to be reached, and enough for
// most plans never to be held up by it.
const leaseQuota = 4

// releaseLimit is how long giving an organization back may take.
const releaseLimit = 5 * time.Second

// Lease implements stack.Target. Each plan gets an organization that nobody else has or ever had, so
// that what one plan leaves behind cannot be held against another.
func (t *Target) Lease(ctx context.Context) (*stack.Lease, error) {
	res, err := t.admin.Do(ctx, stack.Request{Method: http.MethodPost, Path: "/organizations", Body: map[string]int{"box_limit": leaseQuota}})
	if err != nil {
		return nil, fmt.Errorf("open organization: %w", err)
	}
	var org struct{ ID, Key string }
	if res.Status != http.StatusCreated || json.Unmarshal(res.Body, &org) != nil || org.ID == "" || org.Key == "" {
		return nil, fmt.Errorf("open organization: the API answered %d: %s", res.Status, res.Body)
	}
	l := stack.NewLease(t.client.As(org.Key, ""), func() { t.closeOrganization(org.ID) })
	l.Other, l.Stranger = t.client.As(t.stack.OtherKey(), ""), t.client.As(t.stack.OtherKey(), org.ID)
	l.Quota, l.Alone = leaseQuota, true
	return l, nil
}

// closeOrganization gives an organization back. When the API cannot be asked any more there is
// nothing left to give back to.
func (t *Target) closeOrganization(id string) {
	ctx, cancel := context.WithTimeout(context.Background(), releaseLimit)
	defer cancel()
	_, _ = t.admin.Do(ctx, stack.Request{Method: http.MethodDelete, Path: "/organizations/" + id})
}

// Profile implements stack.Target.
func (t *Target) Profile() string { return t.stack.Contract().Profile }

// Flags implements stack.Target.
func (t *Target) Flags() model.Flags { return t.stack.Contract().Changed() }

// Limits implements stack.Target.
func (t *Target) Limits() model.Limits { return limits }

// Exclusive implements stack.Target: the stack is private.
func (t *Target) Exclusive() bool { return true }

// ExecLogged implements stack.Target.
func (t *Target) ExecLogged() bool { return true }

// Dead implements stack.Target.
func (t *Target) Dead() <-chan error { return t.stack.Dead() }

// Control implements stack.Target.
func (t *Target) Control() stack.Control { return t.stack.Control() }

// Describe implements stack.Target.
func (t *Target) Describe() string {
	what := "embedded"
	if c := t.stack.Contract(); c.String() != "cloud" {
		what += " " + c.String()
	}
	if b := t.stack.Bugs().String(); b != "" {
		what += " +" + b
	}
	return what
}

// Journal implements stack.Target.
func (t *Target) Journal() stack.JournalSource { return runnerLog{t.stack, t.stack.Journal()} }

// Residue implements stack.Target.
func (t *Target) Residue(ctx context.Context) ([]model.Residue, bool, error) {
	left, err := t.stack.Residue(ctx)
	if err != nil {
		return nil, true, err
	}
	out := make([]model.Residue, 0, len(left))
	for _, l := range left {
		what := "directory " + l.Path
		if l.PID != 0 {
			what = fmt.Sprintf("process %d: %s", l.PID, l.Command)
		}
		out = append(out, model.Residue{BoxID: l.BoxID, What: what})
	}
	return out, true, nil
}

// runnerLog is the runner's part of a journal.
type runnerLog struct {
	stack  *Stack
	reader journal.Reader
}

func (l runnerLog) Describe() string { return l.reader.Describe() }

// Since implements stack.JournalSource.
func (l runnerLog) Since(ctx context.Context, cursor string) ([]stack.LogEntry, string, error) {
	if err := l.reader.Sync(ctx); err != nil {
		return nil, cursor, err
	}
	entries, next, err := l.reader.Scan(ctx, journal.Cursor(cursor))
	if errors.Is(err, journal.ErrLost) || err == nil && l.stack.cramped() {
		return []stack.LogEntry{{Time: time.Now(), Unit: runnerUnit, Lost: true}}, cmp.Or(string(next), cursor), nil
	}
	if err != nil {
		return nil, cursor, err
	}
	var out []stack.LogEntry
	for _, e := range entries {
		lost := journal.Suppressed(e)
		if e.Identifier == runnerUnit || lost {
			out = append(out, stack.LogEntry{Time: e.Time, Unit: e.Identifier, Message: e.Message, Lost: lost})
		}
	}
	return out, string(next), nil
}
