package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"chaos/stack"
)

// control asks the keeper.
type control struct{ s *Stack }

// Control breaks the parts of the stack and mends them. Parts are broken for good when Stop comes. Boxes
// outlive the runner for a minute. The journal can be controlled only where it is a journald; the error is
// errors.ErrUnsupported otherwise.
func (s *Stack) Control() stack.Control { return control{s} }

func (c control) Kill(ctx context.Context, part stack.Part) error { return c.do(ctx, verbKill, part) }

func (c control) Stop(ctx context.Context, part stack.Part) error { return c.do(ctx, verbStop, part) }

func (c control) Start(ctx context.Context, part stack.Part) error {
	return c.do(ctx, verbStart, part)
}

func (c control) Freeze(ctx context.Context, part stack.Part) error {
	return c.do(ctx, verbFreeze, part)
}

func (c control) Thaw(ctx context.Context, part stack.Part) error { return c.do(ctx, verbThaw, part) }

func (c control) RotateJournal(ctx context.Context) error {
	return c.do(ctx, verbRotate, stack.Journal)
}

// do has the keeper do something and returns when it is done. The keeper goes on with it when ctx ends first.
func (c control) do(ctx context.Context, verb string, part stack.Part) error {
	if err := c.s.command(ctx, verb, part); err != nil {
		return fmt.Errorf("%s %s: %w", verb, part, err)
	}
	return nil
}

func (s *Stack) command(ctx context.Context, verb string, part stack.Part) error {
	answer, err := s.submit(verb, part)
	if err != nil {
		return err
	}
	select {
	case r := <-answer:
		switch {
		case r.Unsupported:
			return fmt.Errorf("%s: %w", r.Error, errors.ErrUnsupported)
		case r.Error != "":
			return errors.New(r.Error)
		}
		return nil
	case <-s.ended:
		return errors.New("the keeper of the stack has ended")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// submit sends a command; the report that answers it comes on the channel.
func (s *Stack) submit(verb string, part stack.Part) (<-chan report, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	line, err := json.Marshal(command{Serial: s.serial, Verb: verb, Part: part})
	if err != nil {
		return nil, err
	}
	answer := make(chan report, 1)
	s.waiting[s.serial] = answer
	if _, err := s.input.Write(append(line, '\n')); err != nil {
		delete(s.waiting, s.serial)
		return nil, fmt.Errorf("the stack is stopped: %w", err)
	}
	return answer, nil
}

// answered hands the answer to a command to whoever waits for it.
func (s *Stack) answered(r report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pids = r.PIDs
	if answer := s.waiting[r.Serial]; answer != nil {
		answer <- r
		delete(s.waiting, r.Serial)
	}
}
