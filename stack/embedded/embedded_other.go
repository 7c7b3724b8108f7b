//go:build !linux

package embedded

import (
	"context"

	"chaos/model"
	"chaos/stack"
	"chaos/stack/embedded/bugs"
	"chaos/stack/journal"
)

// Stack is a running embedded stack. There is none on this system.
type Stack struct{}

// Start returns ErrUnsupported.
func Start(context.Context, Options) (*Stack, error) { return nil, ErrUnsupported }

// The methods below exist so that callers compile; no Stack can be had to call them on.

func (*Stack) URL() string              { return "" }
func (*Stack) Key() string              { return "" }
func (*Stack) OtherKey() string         { return "" }
func (*Stack) RunnerURL() string        { return "" }
func (*Stack) RunnerToken() string      { return "" }
func (*Stack) Dir() string              { return "" }
func (*Stack) LogAddress() string       { return "" }
func (*Stack) Journal() journal.Reader  { return nil }
func (*Stack) Notes() []string          { return nil }
func (*Stack) Bugs() bugs.Set           { return nil }
func (*Stack) Contract() model.Contract { return model.Contract{} }
func (*Stack) PIDs() PIDs               { return PIDs{} }
func (*Stack) Dead() <-chan error       { return nil }

func (*Stack) Control() stack.Control { return nil }

func (*Stack) cramped() bool      { return false }
func (*Stack) adminToken() string { return "" }

func (*Stack) Residue(context.Context) ([]Residue, error) { return nil, ErrUnsupported }

func (*Stack) Stop(context.Context) error { return ErrUnsupported }
