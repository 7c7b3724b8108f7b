package stack

import (
	"context"
	"time"

	"chaos/model"
)

// Target is a running stack as the engine needs it.
type Target interface {
	Client() *Client
	// Lease takes an organization for one plan. Release it when everything of the plan is over.
	Lease(ctx context.Context) (*Lease, error)
	Profile() string        // name of the contract it is judged by
	Flags() model.Flags     // where it differs from the profile's own; nil = nowhere
	Describe() string       // what is under test, in a few words
	Limits() model.Limits   // deadlines that fit this stack
	Journal() JournalSource // nil when the runner's log cannot be read
	// Exclusive reports that nobody else uses the stack, so that everything in its journal is ours.
	Exclusive() bool
	// ExecLogged reports that the runner writes a line for every exec it starts.
	ExecLogged() bool
	// Residue lists what is left of boxes on the machine. ok is false when it cannot be seen from here.
	Residue(ctx context.Context) (left []model.Residue, ok bool, err error)
	// Scheduler is nil when messages cannot be held.
	Scheduler() Scheduler
	// Dead yields an error when the stack has ended by itself.
	Dead() <-chan error
	// Control breaks and mends the parts of the stack; nil when that cannot be done from here.
	Control() Control
}

// Scheduler holds, reorders and cuts messages on their way, as plans say. It must stand between the
// client of a lease and the stack.
type Scheduler interface {
	// Begin announces a plan whose requests are tagged with Tag(token, step). now is the clock of its
	// history. end lets go of all that is still held for it and returns what was done, in order of time.
	Begin(token string, p model.Plan, now func() int64) (end func() []model.Message)
}

// JournalSource is the runner's log.
type JournalSource interface {
	Describe() string
	// Since returns every entry of the runner after the cursor, "" for all, and the cursor to go on
	// from. It is complete: all that the runner logged before the call is there.
	Since(ctx context.Context, cursor string) ([]LogEntry, string, error)
}

// LogEntry is one line of the runner's log.
type LogEntry struct {
	Time    time.Time
	Unit    string
	Message string
	Lost    bool // the journal says that it dropped lines here
}
