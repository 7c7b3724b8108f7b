package live

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"

	"chaos/stack"
	"chaos/stack/journal"
)

// Times of control.
const (
	recoverAfter = 2 * time.Minute // systemd mends what is broken for longer
	serveLimit   = time.Minute     // for a part to serve after its start
	askPause     = 20 * time.Millisecond
)

// control breaks and mends the units of a stack over D-Bus.
type control struct {
	units  map[stack.Part]string
	client *stack.Client
	bus    *dbus.Conn

	mu     sync.Mutex
	broken map[stack.Part]bool
	rescue string // the unit that mends everything should we not come to it, "" = none
}

var _ stack.Control = (*control)(nil)

// openControl returns the control that cfg asks for, nil if none.
func openControl(ctx context.Context, cfg Config, client *stack.Client) (*control, error) {
	units, err := ParseControl(cfg.Control)
	if err != nil || units == nil {
		return nil, err
	}
	bus, err := dbus.NewWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("reach systemd: %w", err)
	}
	c := &control{units: units, client: client, bus: bus, broken: map[stack.Part]bool{}}
	for _, part := range slices.Sorted(maps.Keys(units)) {
		if state, err := c.property(ctx, units[part], "LoadState"); err != nil || state != "loaded" {
			bus.Close()
			return nil, fmt.Errorf("there is no unit %s (%s %v)", units[part], state, errors.Join(err))
		}
	}
	return c, nil
}

func (c *control) property(ctx context.Context, unit, name string) (string, error) {
	p, err := c.bus.GetUnitPropertyContext(ctx, unit, name)
	if err != nil {
		return "", err
	}
	text, _ := p.Value.Value().(string)
	return text, nil
}

// close mends what is broken.
func (c *control) close() {
	ctx, cancel := context.WithTimeout(context.Background(), serveLimit)
	defer cancel()
	for _, part := range slices.Sorted(maps.Keys(c.units)) {
		c.mu.Lock()
		broken := c.broken[part]
		c.mu.Unlock()
		if broken {
			_ = errors.Join(c.Thaw(ctx, part), c.Start(ctx, part)) // what fails here is left to the rescue unit
		}
	}
	c.bus.Close()
}

func (c *control) unit(part stack.Part) (string, error) {
	if unit := c.units[part]; unit != "" {
		return unit, nil
	}
	return "", fmt.Errorf("no unit is named for the %s of this stack; see --control: %w", part, errors.ErrUnsupported)
}

// breaks does what breaks part, with the rescue ready.
func (c *control) breaks(ctx context.Context, part stack.Part, do func(unit string) error) error {
	unit, err := c.unit(part)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.arm(ctx); err != nil {
		return fmt.Errorf("arrange for %s to be mended: %w", unit, err)
	}
	c.broken[part] = true
	return do(unit)
}

// mended notes that part is well, and lets go of the rescue when all are.
func (c *control) mended(ctx context.Context, part stack.Part) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.broken, part)
	if len(c.broken) == 0 && c.rescue != "" {
		_ = c.job(ctx, func(done chan<- string) (int, error) {
			return c.bus.StopUnitContext(ctx, c.rescue, "replace", done)
		}) // it does no harm to what runs
		c.rescue = ""
	}
}

// arm has systemd mend all units after a while, unless that is arranged already.
func (c *control) arm(ctx context.Context) error {
	if c.rescue != "" {
		return nil
	}
	var id [4]byte
	_, _ = rand.Read(id[:]) // never fails
	unit := "chaos-rescue-" + hex.EncodeToString(id[:]) + ".service"
	names := strings.Join(slices.Sorted(maps.Values(c.units)), " ")
	script := fmt.Sprintf("sleep %d; systemctl kill -s CONT %s; systemctl reset-failed %s; systemctl start %s", int(recoverAfter.Seconds()), names, names, names)
	err := c.job(ctx, func(done chan<- string) (int, error) {
		return c.bus.StartTransientUnitContext(ctx, unit, "replace", []dbus.Property{
			// With default dependencies it would pull in all that a machine does at its start, cleaning /tmp
			// included, where that has not been done.
			{Name: "DefaultDependencies", Value: godbus.MakeVariant(false)},
			dbus.PropDescription("mend what chaos has broken"), dbus.PropExecStart([]string{"/bin/sh", "-c", script}, false),
		}, done)
	})
	if err == nil {
		c.rescue = unit
	}
	return err
}

// job waits for what systemd was asked to do.
func (c *control) job(ctx context.Context, ask func(done chan<- string) (int, error)) error {
	done := make(chan string, 1)
	if _, err := ask(done); err != nil {
		return err
	}
	select {
	case how := <-done:
		if how != "done" {
			return fmt.Errorf("systemd says: %s", how)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *control) signal(ctx context.Context, unit string, s syscall.Signal) error {
	return c.bus.KillUnitWithTarget(ctx, unit, dbus.All, int32(s))
}

func (c *control) stopJob(ctx context.Context, unit string) error {
	return c.job(ctx, func(done chan<- string) (int, error) { return c.bus.StopUnitContext(ctx, unit, "replace", done) })
}

// Kill implements stack.Control. The unit is stopped besides, or systemd would start it again.
func (c *control) Kill(ctx context.Context, part stack.Part) error {
	return c.breaks(ctx, part, func(unit string) error {
		return errors.Join(c.signal(ctx, unit, syscall.SIGKILL), c.stopJob(ctx, unit))
	})
}

// Stop implements stack.Control.
func (c *control) Stop(ctx context.Context, part stack.Part) error {
	return c.breaks(ctx, part, func(unit string) error { return c.stopJob(ctx, unit) })
}

// Freeze implements stack.Control.
func (c *control) Freeze(ctx context.Context, part stack.Part) error {
	return c.breaks(ctx, part, func(unit string) error { return c.signal(ctx, unit, syscall.SIGSTOP) })
}

// Thaw implements stack.Control.
func (c *control) Thaw(ctx context.Context, part stack.Part) error {
	unit, err := c.unit(part)
	if err != nil {
		return err
	}
	if state, err := c.property(ctx, unit, "ActiveState"); err == nil && state != "active" {
		return nil // there is nobody to thaw
	}
	if err := c.signal(ctx, unit, syscall.SIGCONT); err != nil {
		return err
	}
	c.mended(ctx, part)
	return nil
}

// Start implements stack.Control.
func (c *control) Start(ctx context.Context, part stack.Part) error {
	unit, err := c.unit(part)
	if err != nil {
		return err
	}
	if state, err := c.property(ctx, unit, "ActiveState"); err == nil && state == "active" {
		return nil
	}
	_ = c.bus.ResetFailedUnitContext(ctx, unit) // or it might have been started too often; an error means that it had not failed
	if err := c.job(ctx, func(done chan<- string) (int, error) { return c.bus.StartUnitContext(ctx, unit, "replace", done) }); err != nil {
		return err
	}
	if err := c.serves(ctx, part); err != nil {
		return err
	}
	c.mended(ctx, part)
	return nil
}

// serves returns when part can be worked with: the API answers, and a runner is as good as up when its
// unit is.
func (c *control) serves(ctx context.Context, part stack.Part) error {
	if part != stack.API {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, serveLimit)
	defer cancel()
	for {
		_, err := c.client.Do(ctx, stack.Request{Method: "GET", Path: "/me"})
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the API does not answer after its start: %w", err)
		case <-time.After(askPause):
		}
	}
}

// RotateJournal implements stack.Control.
func (c *control) RotateJournal(ctx context.Context) error { return journal.RotateSystem(ctx) }
