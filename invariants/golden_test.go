package invariants_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/model"
)

var update = flag.Bool("update", false, "write the golden verdicts anew; read the difference before you keep it")

// TestGolden_Verdicts compares every word the judge says of the stories with what was read and
// found right: a message that names the wrong call, or a set of states that grew, shows here.
func TestGolden_Verdicts(t *testing.T) {
	var b strings.Builder
	names := make([]string, 0, len(good))
	for name := range good {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "good: %s\n%s\n", name, verdictText(judge(good[name]())))
	}
	stories := slices.Clone(bad)
	slices.SortStableFunc(stories, func(x, y badStory) int {
		return strings.Compare(x.invariant+" · "+x.detail, y.invariant+" · "+y.detail)
	})
	for _, tc := range stories {
		fmt.Fprintf(&b, "bad: %s · %s\n%s\n", tc.invariant, tc.detail, verdictText(judge(tc.make())))
	}
	path := filepath.Join("testdata", "verdicts.txt")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), b.String())
}

func verdictText(v model.Verdict) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %s\n", v.Status)
	for _, x := range v.Violations {
		fmt.Fprintf(&b, "  %s\n    what     %s\n    allowed  %s\n    got      %s\n    states   %s\n    calls    %v\n", x.Signature, x.Message, x.Allowed, x.Got, x.States, x.Calls)
		for _, l := range x.Journal {
			fmt.Fprintf(&b, "    log      %s\n", l)
		}
	}
	for _, u := range v.Unjudged {
		fmt.Fprintf(&b, "    unjudged %s\n", u)
	}
	return b.String()
}
