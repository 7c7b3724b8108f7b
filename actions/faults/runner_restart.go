package faults

import (
	"chaos/actions"
	"chaos/stack"
)

var _ = actions.RegisterFault(fault{name: "runner-restart", doc: "stop the runner in good order, and start it again after a while; its boxes run on", lasts: true,
	excuse: lostRunner, hit: stop(stack.Runner), undo: start(stack.Runner)})
