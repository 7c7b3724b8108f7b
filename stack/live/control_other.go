//go:build !linux

package live

import (
	"context"
	"errors"

	"chaos/stack"
)

// control is for Linux only.
type control struct{ stack.Control }

func (*control) close() {}

func openControl(_ context.Context, cfg Config, _ *stack.Client) (*control, error) {
	if cfg.Control == "" {
		return nil, nil
	}
	return nil, errors.New("units of systemd can be controlled on Linux only")
}
