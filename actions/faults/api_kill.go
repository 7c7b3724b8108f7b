package faults

import (
	"chaos/actions"
	"chaos/stack"
)

var _ = actions.RegisterFault(fault{name: "api-kill", doc: "kill -9 the API, and start it again after a while", lasts: true,
	excuse: lostAPI, hit: kill(stack.API), undo: start(stack.API)})
