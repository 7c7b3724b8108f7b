package campaign

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/model"
	"chaos/stack"
	"chaos/stack/embedded"
	"chaos/stack/embedded/bugs"
	"chaos/stack/embedded/child"
)

// patience is for things that take moments unless the machine is busy.
const patience = time.Minute

func TestMain(m *testing.M) {
	child.Dispatch()
	os.Exit(m.Run())
}

// startRig starts an embedded stack and a rig on it.
func startRig(t *testing.T, set bugs.Set) (*Rig, *embedded.Target) {
	t.Helper()
	return startRigUnder(t, set, "")
}

// startRigUnder is startRig with the flags of a contract.
func startRigUnder(t *testing.T, set bugs.Set, contract string) (*Rig, *embedded.Target) {
	t.Helper()
	flags, err := model.ParseFlags(contract)
	require.NoError(t, err)
	return startRigWith(t, embedded.Options{Bugs: set, Flags: flags})
}

// startRigWith is startRig with all options.
func startRigWith(t *testing.T, o embedded.Options) (*Rig, *embedded.Target) {
	t.Helper()
	o.SyncInterval = 100 * time.Millisecond
	s, err := embedded.Start(t.Context(), o)
	require.NoError(t, err)
	target := embedded.NewTarget(s)
	rig, err := NewRig(target)
	require.NoError(t, err)
	t.Cleanup(func() {
		rig.Close()
		target.Close()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, s.Stop(ctx))
	})
	return rig, target
}

// noExcerpt words nothing.
func noExcerpt(*model.History, model.Violation) []string { return nil }

// busy reports whether there is anything of a box on the machine.
func busy(t *testing.T, target stack.Target) bool {
	t.Helper()
	left, _, err := target.Residue(t.Context())
	return err == nil && len(left) > 0
}

// requireNothingLeft checks that nothing of a box stays on the machine. A box that is still in a list
// is on the machine, too.
func requireNothingLeft(t *testing.T, target stack.Target) {
	t.Helper()
	require.Eventually(t, func() bool {
		left, _, err := target.Residue(t.Context())
		return err == nil && len(left) == 0
	}, patience, 20*time.Millisecond)
}
