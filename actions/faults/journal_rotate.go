package faults

import (
	"context"

	"chaos/actions"
	"chaos/stack"
)

var _ = actions.RegisterFault(fault{name: "journal-rotate", doc: "make the journal begin new files", excuse: held,
	hit: func(ctx context.Context, c stack.Control) error { return c.RotateJournal(ctx) }})
