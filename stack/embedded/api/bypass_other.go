//go:build !linux

package api

import (
	"errors"
	"syscall"
)

func localAttr() *syscall.SysProcAttr { return nil }

func killGroup(int) error { return errors.ErrUnsupported }
