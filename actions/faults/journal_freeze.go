package faults

import (
	"chaos/actions"
	"chaos/stack"
)

var _ = actions.RegisterFault(fault{name: "journal-freeze", doc: "stop all threads of the journal for a while", lasts: true,
	excuse: held, hit: freeze(stack.Journal), undo: thaw(stack.Journal)})
