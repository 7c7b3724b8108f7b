package faults

import (
	"chaos/actions"
	"chaos/stack"
)

var _ = actions.RegisterFault(fault{name: "runner-kill", doc: "kill -9 the runner, and start it again after a while; its boxes run on", lasts: true,
	excuse: killedRunner, hit: kill(stack.Runner), undo: start(stack.Runner)})
