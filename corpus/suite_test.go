package corpus_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/actions"
	"chaos/corpus"
	"chaos/stack/embedded/bugs"
)

// TestKnown_EveryBugHasAPlan: a seeded bug that no promoted case shows is one that nobody has found.
func TestKnown_EveryBugHasAPlan(t *testing.T) {
	for _, b := range bugs.All() {
		if b.Needs != "" {
			t.Logf("%s needs the fault %s", b.ID, b.Needs)
			continue
		}
		c, err := corpus.Known(string(b.ID), actions.Vocabulary{})
		require.NoError(t, err)
		require.NotNil(t, c, "%s: run chaos prove --bug %s --corpus DIR and promote its case", b.ID, b.ID)
		require.Equal(t, []string{string(b.ID)}, c.Bugs)
		require.NotEmpty(t, c.Plan.Steps)
	}
	c, err := corpus.Known("no-such-bug", actions.Vocabulary{})
	require.NoError(t, err)
	require.Nil(t, c)
}
