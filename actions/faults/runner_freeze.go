package faults

import (
	"chaos/actions"
	"chaos/stack"
)

var _ = actions.RegisterFault(fault{name: "runner-freeze", doc: "stop all threads of the runner for a while", lasts: true,
	excuse: held, hit: freeze(stack.Runner), undo: thaw(stack.Runner)})
