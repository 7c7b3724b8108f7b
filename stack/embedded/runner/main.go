package runner

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"chaos/stack/embedded/child"
)

// Role is the child role of a runner process.
const Role = "runner"

func init() { child.Register(Role, Main) }

// Main is the runner process: it serves until its standard input ends or SIGTERM comes, and returns
// the exit status.
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

	lifeline, cut := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cut()
	}()
	<-lifeline.Done()
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
