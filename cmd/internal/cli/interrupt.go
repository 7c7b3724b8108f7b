package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"chaos/cmd/internal/campaign"
)

// echoTime is how long a signal may be one more copy of the first Ctrl-C: the terminal sends it to
// everybody in the foreground, and some programs that start others pass on their own besides.
const echoTime = 100 * time.Millisecond

// interruptible returns a context that ends with the first Ctrl-C or SIGTERM; work then ends in good
// order. The second one ends the program at once, with 128 and the number of the signal.
func (a *app) interruptible() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case <-signals:
		case <-ctx.Done():
			return
		}
		// Nothing waits for a terminal that does not take what is written.
		go fmt.Fprintf(a.err, "chaos: stopping, cleaning up (%s at most); Ctrl-C again to quit now\n", campaign.CleanupLimit)
		cancel()
		echo := time.After(echoTime)
		var s os.Signal
		for s == nil {
			select {
			case <-echo:
				s = <-signals
			case <-signals:
			}
		}
		said := make(chan struct{})
		go func() {
			fmt.Fprintln(a.err, "chaos: quit"+a.leftovers())
			close(said)
		}()
		select {
		case <-said:
		case <-time.After(time.Second):
		}
		code := 128 + int(syscall.SIGINT)
		if n, ok := s.(syscall.Signal); ok {
			code = 128 + int(n)
		}
		os.Exit(code)
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel()
	}
}

// works notes the stack that boxes are being made on.
func (a *app) works(st *openStack) { a.stack.Store(st) }

// leftovers says what quitting now leaves behind. An embedded stack goes with its boxes.
func (a *app) leftovers() string {
	st := a.stack.Load()
	if st == nil || st.target.Exclusive() {
		return ""
	}
	return fmt.Sprintf("; on %s, boxes whose names begin with %s may be left", st.target.Describe(), st.rig.Run())
}
