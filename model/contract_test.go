package model_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/model"
)

// everyContract is each profile with each way of answering an exec on a stopped box.
func everyContract(t *testing.T) []model.Contract {
	var out []model.Contract
	for _, p := range model.Profiles() {
		for _, v := range []string{model.Reject, model.Autostart} {
			c, ok := model.Lookup(p, model.Flags{model.FlagExecOnStopped: v})
			require.True(t, ok)
			out = append(out, c)
		}
	}
	return out
}

// TestTable_EveryRowHolds reads the table on its own, cell by cell, and asks the contract for each.
func TestTable_EveryRowHolds(t *testing.T) {
	gap := regexp.MustCompile(`\s{2,}`)
	rows := 0
	for line := range strings.SplitSeq(model.Table, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		rows++
		cells := gap.Split(line, 7)
		require.Len(t, cells, 7, line)
		op, variant, _ := strings.Cut(cells[0], ":")
		states, ok := model.ParseState(cells[1])
		require.True(t, ok, line)
		for i, profile := range model.Profiles() {
			flags := model.Flags{}
			if cells[2] != "-" {
				var err error
				flags, err = model.ParseFlags(cells[2])
				require.NoError(t, err, line)
			}
			c, ok := model.Lookup(profile, flags)
			require.True(t, ok)
			for _, s := range states.States() {
				allowed, sources, _ := c.Allowed(op, variant, s)
				if cells[3+i] == "-" {
					continue
				}
				for status := range strings.SplitSeq(cells[3+i], ",") {
					n, err := strconv.Atoi(status)
					require.NoError(t, err, line)
					require.Contains(t, allowed, n, "%s under %s in state %s", line, profile, s)
				}
				require.Contains(t, sources, cells[6], line)
			}
		}
	}
	require.Greater(t, rows, 50)
}

func TestContract_EveryOrdinaryOperationIsCoveredInEveryState(t *testing.T) {
	for _, c := range everyContract(t) {
		for _, op := range []string{model.OpGet, model.OpList, model.OpStart, model.OpStop, model.OpRemove, model.OpExec, model.OpInfo, model.OpAttach, model.OpSignal, model.OpKill, model.OpResize, model.OpMetrics, model.OpProbe} {
			for _, s := range model.AnyState.States() {
				if s == model.Fresh && !c.Lifecycle().Lazy {
					continue // no box is ever in that state
				}
				allowed, sources, ok := c.Allowed(op, "", s)
				require.True(t, ok, "%s %s: %s in state %s has no rule", c.Profile, c.Flags, op, s)
				require.NotEmpty(t, allowed)
				require.NotEmpty(t, sources)
				for _, status := range allowed {
					require.Less(t, status, 500, "%s in state %s allows a server error", op, s)
				}
			}
		}
		_, _, ok := c.Allowed("no such thing", "", model.Running)
		require.False(t, ok)
	}
}

// TestContract_RealBugsAreNotAllowed holds answers that BoxLite gave and that were bugs against the
// table: none may ever find a row.
func TestContract_RealBugsAreNotAllowed(t *testing.T) {
	for _, tc := range []struct {
		bug, op, variant string
		state            model.State
		status           int
	}{
		{"#684", model.OpExec, "", model.Stopped, 500},
		{"exec on a removed box", model.OpExec, "", model.Gone, 500},
		{"#1472", model.OpExec, "missing-binary", model.Running, 500},
		{"#496", model.OpStart, "", model.Running, 404},
		{"#1353", model.OpCreate, "", model.Absent, 400},
		{"#662", model.OpCreate, "cpus-zero", model.AnyState, 201},
		{"#662", model.OpCreate, "cpus-huge", model.AnyState, 201},
		{"#662", model.OpCreate, "memory-negative", model.AnyState, 201},
		{"PR 853", model.OpCreate, "name-blank", model.AnyState, 201},
		{"double stop", model.OpStop, "", model.Stopped, 500},
		{"double stop", model.OpStop, "", model.Stopping, 500},
		{"a removed box comes back", model.OpGet, "", model.Gone, 200},
		{"a box is not found", model.OpGet, "", model.Running, 404},
		{"a token that is none", model.OpProbe, "", model.AnyState, 200},
		{"a token that is none", model.OpProbe, "", model.AnyState, 500},
		{"resize without a terminal", model.OpResize, "no-terminal", model.Running, 204},
		{"a signal that is not allowed", model.OpSignal, "not-allowed", model.Running, 204},
		{"a signal that is not allowed, on nothing", model.OpSignal, "not-allowed", model.Running, 404},
	} {
		for _, c := range everyContract(t) {
			allowed, _, ok := c.Allowed(tc.op, tc.variant, tc.state)
			require.True(t, ok, tc.bug)
			require.NotContains(t, allowed, tc.status, "%s under %s %s", tc.bug, c.Profile, c.Flags)
		}
	}
}

func TestContract_FlagsChooseTheRows(t *testing.T) {
	for _, p := range model.Profiles() {
		reject, _ := model.Lookup(p, model.Flags{model.FlagExecOnStopped: model.Reject})
		start, _ := model.Lookup(p, model.Flags{model.FlagExecOnStopped: model.Autostart})
		no, _, _ := reject.Allowed(model.OpExec, "", model.Stopped)
		yes, _, _ := start.Allowed(model.OpExec, "", model.Stopped)
		require.Equal(t, []int{409}, no, p)
		require.Contains(t, yes, 201, p)
		require.NotContains(t, yes, 409, p)
	}
}

func TestFlags_ReadBackAndSayWhatIsWrong(t *testing.T) {
	f, err := model.ParseFlags("stop=sync, exec-on-stopped=autostart,")
	require.NoError(t, err)
	require.Equal(t, "exec-on-stopped=autostart,stop=sync", f.String())
	back, err := model.ParseFlags(f.String())
	require.NoError(t, err)
	require.Equal(t, f, back)
	for text, want := range map[string]string{
		"exec=reject":           `no contract flag is called "exec"; want exec-on-stopped=reject|autostart`,
		"exec-on-stopped=maybe": `contract flag exec-on-stopped cannot be "maybe"; want reject or autostart`,
		"stop":                  `contract flag stop cannot be ""; want async or sync`,
	} {
		_, err := model.ParseFlags(text)
		require.ErrorContains(t, err, want)
	}
	_, ok := model.Lookup("cluod", nil)
	require.False(t, ok)
	_, err = model.Meta{Profile: "cluod"}.Contract()
	require.EqualError(t, err, `no profile is called "cluod"; want cloud, serve, spec`)
}

func TestState_ReadsBack(t *testing.T) {
	for s := model.State(1); s <= model.AnyState; s += 7 {
		back, ok := model.ParseState(s.String())
		require.True(t, ok, s.String())
		require.Equal(t, s, back)
	}
	require.Len(t, model.AnyState.States(), 9)
	_, ok := model.ParseState("runing")
	require.False(t, ok)
	require.True(t, slices.Contains(model.Fresh.Shows(), "configured"), fmt.Sprint(model.Fresh.Shows()))
}
