package faults

import (
	"chaos/actions"
	"chaos/stack"
)

var _ = actions.RegisterFault(fault{name: "api-restart", doc: "stop the API in good order, and start it again after a while", lasts: true,
	excuse: lostAPI, hit: stop(stack.API), undo: start(stack.API)})
