package runner

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"chaos/stack/embedded/child"
)

// Role is the child role of a runner process.
const Role = "runner"

func init() { child.Register(Role, Main) }

// LeaveOrder is the line on the standard input of a runner process that makes it end without its boxes.
const LeaveOrder = "leave"

// Main is the runner process: it serves until its standard input ends, LeaveOrder or SIGTERM comes, and
// returns the exit status.
func Main([]string) int {
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "chaos runner: %v\n", err)
		return 1
	}
	return 0
}

func serve(stdin io.Reader, stdout io.Writer) error {
	// Ctrl-C at a terminal reaches every process of the group. When to stop is the parent's decision,
	// and it says so by closing our standard input.
	signal.Ignore(syscall.SIGINT)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()

	in := bufio.NewReader(stdin)
	line, err := in.ReadBytes('\n')
	if err != nil && err != io.EOF {
		return fmt.Errorf("read configuration: %w", err)
	}
	var cfg Config
	if err := json.Unmarshal(line, &cfg); err != nil {
		return fmt.Errorf("parse configuration: %w", err)
	}
	r, err := Start(cfg)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(stdout, "{\"ready\":true,\"addr\":%q}\n", r.Addr()); err != nil {
		return fmt.Errorf("report ready: %w", firstError(err, r.Close()))
	}

	ordered, cut := context.WithCancel(ctx)
	leave := false
	go func() {
		defer cut()
		for {
			line, err := in.ReadString('\n')
			if leave = strings.TrimSpace(line) == LeaveOrder; leave || err != nil {
				return
			}
		}
	}()
	<-ordered.Done()
	if ctx.Err() == nil && leave {
		return r.Leave()
	}
	return r.Close()
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
