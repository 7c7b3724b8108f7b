package faults

import (
	"chaos/actions"
	"chaos/stack"
)

var _ = actions.RegisterFault(fault{name: "api-freeze", doc: "stop all threads of the API for a while", lasts: true,
	excuse: held, hit: freeze(stack.API), undo: thaw(stack.API)})
