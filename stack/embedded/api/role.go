package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"chaos/stack/embedded/child"
	"chaos/stack/journal"
)

// Role is the name of the child role this package registers.
const Role = "api"

// Identifier marks the API's lines in the journal.
const Identifier = "boxlite-api"

// shutdownGrace bounds how long requests in flight may take when the API stops.
const shutdownGrace = 2 * time.Second

func init() {
	child.Register(Role, func([]string) int {
		// A reader that is gone must not end this process: its lifeline does.
		signal.Ignore(syscall.SIGPIPE)
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
		defer stop()
		if err := serve(ctx, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "api:", err)
			return 1
		}
		return 0
	})
}

// serve runs the API until in ends or ctx is done.
func serve(ctx context.Context, in io.Reader, out io.Writer) error {
	lines := bufio.NewReader(in)
	first, err := lines.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	var cfg Config
	if err := json.Unmarshal(first, &cfg); err != nil {
		return fmt.Errorf("parse configuration: %w", err)
	}
	log, done, err := openLog(cfg.Log)
	if err != nil {
		return err
	}
	defer done()
	s, err := New(cfg, log)
	if err != nil {
		return err
	}
	defer s.Close()
	ln, err := child.Listen(cfg.Listen)
	if err != nil {
		return err
	}
	hs := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, ErrorLog: zap.NewStdLog(log), ConnContext: boundBuffers}
	failed := make(chan error, 1)
	go func() { failed <- hs.Serve(ln) }()
	log.Info("listening", zap.String("addr", ln.Addr().String()), zap.String("bugs", cfg.Bugs))
	if err := json.NewEncoder(out).Encode(map[string]any{"ready": true, "addr": ln.Addr().String()}); err != nil {
		return fmt.Errorf("report readiness: %w", err)
	}
	eof := make(chan struct{})
	go func() {
		defer close(eof)
		_, _ = io.Copy(io.Discard, lines) // its end is the message
	}()
	select {
	case <-eof:
	case <-ctx.Done():
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case err := <-s.broken():
		_ = hs.Close()
		return err
	}
	log.Info("stopping")
	s.stop() // releases what waits for a box
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	if err := hs.Shutdown(bounded); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("shut down: %w", err)
	}
	_ = hs.Close() // what did not end in time
	return nil
}

func openLog(address string) (*zap.Logger, func(), error) {
	if address == "" {
		return zap.NewNop(), func() {}, nil
	}
	w, err := journal.Open(address)
	if err != nil {
		return nil, nil, fmt.Errorf("open log: %w", err)
	}
	log := zap.New(journal.NewCore(w, Identifier, zapcore.InfoLevel))
	return log, func() { _ = log.Sync(); _ = w.Close() }, nil
}
