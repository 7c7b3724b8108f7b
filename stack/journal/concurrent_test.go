package journal

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// sendConcurrently sends "writer N:0", "writer N:1", … from each of n goroutines.
func sendConcurrently(t *testing.T, w Writer, n, count int) {
	t.Helper()
	errs := make([]error, n)
	var group sync.WaitGroup
	for g := range n {
		group.Go(func() {
			for i := range count {
				if err := w.Send(6, "writer", fmt.Sprintf("writer %d:%d", g, i), nil); err != nil {
					errs[g] = err
					return
				}
			}
		})
	}
	group.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
}

// requireNumbered checks that entries hold the lines 0 … count-1 of n writers, each writer's lines
// in order and once.
func requireNumbered(t *testing.T, entries []Entry, n, count int) {
	t.Helper()
	next := map[string]int{}
	for _, m := range messages(entries, "writer") {
		who, number, ok := strings.Cut(m, ":")
		require.True(t, ok, m)
		i, err := strconv.Atoi(number)
		require.NoError(t, err)
		require.Equal(t, next[who], i, "line of %s", who)
		next[who]++
	}
	require.Len(t, next, n)
	for who, lines := range next {
		require.Equal(t, count, lines, "lines of %s", who)
	}
}
