package embedded

import (
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/model"
	"chaos/stack/embedded/bugs"
)

func TestWithin_ABugIsThereOnlyWhereItsCodeIs(t *testing.T) {
	set := bugs.Set{bugs.AutostartStaleStatus: true, bugs.StdoutRace: true, bugs.NameRace: false}
	reject := model.Cloud()
	require.Equal(t, "stdout-race", within(set, reject).String())
	autostart, ok := model.Lookup("cloud", model.Flags{model.FlagExecOnStopped: model.Autostart})
	require.True(t, ok)
	require.Equal(t, "autostart-stale-status,stdout-race", within(set, autostart).String())
}
