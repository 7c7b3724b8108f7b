package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/cmd/internal/campaign"
	"chaos/stack/embedded/bugs"
)

func TestTrialLog_CountsWhatWasDoneBefore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "trials")
	one, err := openTrialLog(file)
	require.NoError(t, err)
	require.False(t, one.has(bugs.StdoutRace, 3))
	require.NoError(t, one.add(campaign.Trial{Bug: "stdout-race", Seed: 3, Found: true, Steps: 2, Program: "abc"}))
	require.NoError(t, one.add(campaign.Trial{Bug: "name-race", Seed: 3}))
	one.close()

	two, err := openTrialLog(file)
	require.NoError(t, err)
	defer two.close()
	require.True(t, two.has(bugs.StdoutRace, 3))
	require.False(t, two.has(bugs.StdoutRace, 4))
	b, _ := bugs.Get(bugs.StdoutRace)
	old := two.trials([]bugs.Bug{b})
	require.Len(t, old, 1, "only those of the bugs that are proved")
	require.Equal(t, 2, old[bugs.StdoutRace][0].Steps)
}

func TestTrialLog_NamesTheLineThatIsNone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "trials")
	require.NoError(t, os.WriteFile(file, []byte("{\"bug\":\"stdout-race\",\"seed\":1}\nnonsense\n"), 0o600))
	_, err := openTrialLog(file)
	require.ErrorContains(t, err, "trials:2: not a trial")
}
