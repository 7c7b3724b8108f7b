package faults

import (
	"context"
	"runtime"
	"time"

	"chaos/actions"
	"chaos/stack"
)

// hogTime is how long the processors are kept busy.
const hogTime = 200 * time.Millisecond

var _ = actions.RegisterFault(fault{name: "cpu-hog", doc: "keep every processor busy for 200 ms", excuse: held,
	hit: func(ctx context.Context, _ stack.Control) error {
		until := time.Now().Add(hogTime)
		done := make(chan struct{})
		n := 2 * runtime.NumCPU()
		for range n {
			go func() {
				for time.Now().Before(until) && ctx.Err() == nil { // to be busy is the point
				}
				done <- struct{}{}
			}()
		}
		for range n {
			<-done
		}
		return nil
	}})
