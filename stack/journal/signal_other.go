//go:build !linux

package journal

import (
	"context"
	"errors"
)

func signalSync(context.Context, string) error   { return errors.ErrUnsupported }
func signalRotate(context.Context, string) error { return errors.ErrUnsupported }
