package stack

import "context"

// Part is a process of a stack that can be broken on purpose.
type Part string

// The parts.
const (
	API     Part = "api"
	Runner  Part = "runner"
	Journal Part = "journal"
)

// Control breaks the parts of a stack and mends them. Its verbs are what faults are made of; each
// returns when what it does is done. A part that is down by order does not count as dead.
type Control interface {
	// Kill ends part at once, as kill -9 does. It stays down until Start.
	Kill(ctx context.Context, part Part) error
	// Stop ends part in good order. It stays down until Start.
	Stop(ctx context.Context, part Part) error
	// Start brings up a part that is down, at the address it had, and returns when it serves. One that
	// is up is left alone.
	Start(ctx context.Context, part Part) error
	// Freeze stops all threads of part, as kill -STOP does, until Thaw.
	Freeze(ctx context.Context, part Part) error
	// Thaw lets a frozen part go on. One that is not frozen is left alone.
	Thaw(ctx context.Context, part Part) error
	// RotateJournal makes the journal begin new files.
	RotateJournal(ctx context.Context) error
}
