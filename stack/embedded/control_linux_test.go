package embedded

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/stack"
)

// ctl returns the control of s and a context for its verbs.
func ctl(t *testing.T, s *Stack) (stack.Control, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return s.Control(), ctx
}

func pid(s *Stack, p stack.Part) int {
	all := s.PIDs()
	return map[stack.Part]int{stack.API: all.API, stack.Runner: all.Runner, stack.Journal: all.Journald}[p]
}

// processState is the letter for the state of a process in /proc, 0 when there is none.
func processState(pid int) byte {
	stat, err := os.ReadFile(procFile(pid, "stat"))
	if err != nil {
		return 0
	}
	return stateOf(stat)
}

// requireNoDeath fails when a part was reported dead.
func requireNoDeath(t *testing.T, s *Stack) {
	t.Helper()
	select {
	case err := <-s.Dead():
		require.NoError(t, err)
	default:
	}
}

// serves reports whether a part answers.
func serves(t *testing.T, s *Stack, p stack.Part) bool {
	t.Helper()
	if p == stack.Journal {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		return s.Journal().Sync(ctx) == nil
	}
	url := map[stack.Part]string{stack.API: s.URL() + "/health", stack.Runner: s.RunnerURL() + "/"}[p]
	resp, err := (&http.Client{Timeout: 200 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}).Get(url)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == 200
}

func TestControl_EachVerbOnEachPart(t *testing.T) {
	s := begin(t, Options{})
	for _, p := range []stack.Part{stack.API, stack.Runner, stack.Journal} {
		t.Run(string(p), func(t *testing.T) {
			if pid(s, p) == 0 {
				t.Skip("no journald on this machine")
			}
			c, ctx := ctl(t, s)
			for _, verb := range []func(context.Context, stack.Part) error{c.Kill, c.Stop} {
				before := pid(s, p)
				require.True(t, serves(t, s, p))
				require.NoError(t, verb(ctx, p))
				require.False(t, alive(before), "it has ended when the verb returns")
				require.Zero(t, pid(s, p))
				require.False(t, serves(t, s, p))
				require.NoError(t, verb(ctx, p), "it is down already")
				require.ErrorContains(t, c.Freeze(ctx, p), "down")
				require.NoError(t, c.Thaw(ctx, p))
				require.NoError(t, c.Start(ctx, p))
				require.True(t, serves(t, s, p), "it serves when Start returns, where it did before")
				after := pid(s, p)
				require.NotEqual(t, before, after)
				require.NoError(t, c.Start(ctx, p))
				require.Equal(t, after, pid(s, p), "one that is up is left alone")
			}
			require.NoError(t, c.Thaw(ctx, p))
			require.NoError(t, c.Freeze(ctx, p))
			require.Equal(t, byte('T'), processState(pid(s, p)))
			require.False(t, serves(t, s, p))
			require.NoError(t, c.Freeze(ctx, p))
			require.NoError(t, c.Start(ctx, p), "a frozen part is up")
			require.Equal(t, byte('T'), processState(pid(s, p)))
			require.NoError(t, c.Thaw(ctx, p))
			require.NotEqual(t, byte('T'), processState(pid(s, p)))
			require.True(t, eventually(func() bool { return serves(t, s, p) }))
			for _, verb := range []func(context.Context, stack.Part) error{c.Kill, c.Stop} {
				require.NoError(t, c.Freeze(ctx, p))
				require.NoError(t, verb(ctx, p), "a frozen part can be ended")
				require.NoError(t, c.Start(ctx, p))
				require.True(t, serves(t, s, p))
			}
			requireNoDeath(t, s)
			_, err := sleeper(s)
			require.NoError(t, err, "the parts find each other again")
		})
	}
	c, ctx := ctl(t, s)
	require.ErrorContains(t, c.Kill(ctx, "disk"), `no part is called "disk"`)
}

func TestControl_DeathByItselfIsStillReported(t *testing.T) {
	s := begin(t, Options{})
	c, ctx := ctl(t, s)
	require.NoError(t, c.Kill(ctx, stack.Runner))
	require.NoError(t, c.Start(ctx, stack.Runner))
	require.NoError(t, syscall.Kill(s.PIDs().Runner, syscall.SIGKILL))
	require.ErrorContains(t, <-s.Dead(), "runner ended")
	require.NoError(t, c.Start(ctx, stack.Runner), "it can be mended, too")
	_, err := sleeper(s)
	require.NoError(t, err)
	requireNoDeath(t, s)
}

func TestControl_RotateJournal(t *testing.T) {
	s := begin(t, Options{})
	if s.PIDs().Journald == 0 {
		t.Skip("no journald on this machine")
	}
	files := func() int {
		n := 0
		require.NoError(t, filepath.WalkDir(filepath.Join(s.Dir(), "journal", "log"), func(path string, _ fs.DirEntry, err error) error {
			if strings.HasSuffix(path, ".journal") {
				n++
			}
			return err
		}))
		return n
	}
	c, ctx := ctl(t, s)
	_, err := sleeper(s)
	require.NoError(t, err)
	before := files()
	require.NoError(t, c.RotateJournal(ctx))
	require.True(t, eventually(func() bool { return files() > before }))
	require.Contains(t, trail(t, s), "job_type=CREATE_BOX")
}

func TestControl_TheJournalLosesNothing(t *testing.T) {
	s := begin(t, Options{})
	if s.PIDs().Journald == 0 {
		t.Skip("no journald on this machine")
	}
	c, ctx := ctl(t, s)
	for what, verbs := range map[string][2]func(context.Context, stack.Part) error{
		"killed": {c.Kill, c.Start}, "stopped": {c.Stop, c.Start}, "frozen": {c.Freeze, c.Thaw},
	} {
		require.NoError(t, verbs[0](ctx, stack.Journal))
		var boxes []string
		for range 5 { // more lines than the kernel holds
			id, err := sleeper(s)
			require.NoError(t, err, "a journal that is %s holds nobody up", what)
			boxes = append(boxes, id)
		}
		require.NoError(t, verbs[1](ctx, stack.Journal))
		text := trail(t, s)
		for _, id := range boxes {
			require.Equal(t, 1, strings.Count(text, "Job completed successfully job_id="+jobOf(text, id)), what)
			require.Contains(t, text, "exec started box_id="+id, what)
		}
		require.NotContains(t, text, "lost", what)
	}
	requireNoDeath(t, s)
	// A journald that dies by itself may have had a line in its hands.
	require.NoError(t, syscall.Kill(s.PIDs().Journald, syscall.SIGKILL))
	require.ErrorContains(t, <-s.Dead(), "journald ended")
	require.NoError(t, c.Start(ctx, stack.Journal))
	entries, _, err := NewTarget(s).Journal().Since(ctx, "")
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(entries, func(e stack.LogEntry) bool { return e.Lost }))
}

// jobOf is the id of the job that made a box.
func jobOf(text, box string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, "Executing job") && strings.Contains(line, "CREATE_BOX") && strings.Contains(line, "resource_id="+box) {
			_, rest, _ := strings.Cut(line, "job_id=")
			id, _, _ := strings.Cut(rest, " ")
			return id
		}
	}
	return "none"
}

func TestControl_AFileIsNoProcess(t *testing.T) {
	s := begin(t, Options{ForceFileJournal: true})
	c, ctx := ctl(t, s)
	require.ErrorIs(t, c.RotateJournal(ctx), errors.ErrUnsupported)
	require.ErrorIs(t, c.Kill(ctx, stack.Journal), errors.ErrUnsupported)
	require.NoError(t, c.Kill(ctx, stack.Runner))
	require.NoError(t, c.Start(ctx, stack.Runner))
}

func TestControl_StackEndsWhateverIsBroken(t *testing.T) {
	breakages := map[string]func(c stack.Control, ctx context.Context, s *Stack) error{
		"frozen": func(c stack.Control, ctx context.Context, s *Stack) error {
			return errors.Join(c.Freeze(ctx, stack.API), c.Freeze(ctx, stack.Runner), freezeJournal(ctx, c, s))
		},
		"killed": func(c stack.Control, ctx context.Context, _ *Stack) error {
			return errors.Join(c.Kill(ctx, stack.API), c.Kill(ctx, stack.Runner), killJournal(ctx, c))
		},
	}
	ends := map[string]func(t *testing.T, s *Stack){
		"stop": func(*testing.T, *Stack) {},
		"keeper killed": func(t *testing.T, s *Stack) {
			pids := s.PIDs()
			require.NoError(t, syscall.Kill(pids.Keeper, syscall.SIGKILL))
			require.True(t, eventually(func() bool { return !alive(pids.API) && !alive(pids.Runner) }), "they end without anybody's help")
			require.True(t, eventually(func() bool {
				found, err := marked(stackVar, s.order.ID)
				return err == nil && len(found) == 0
			}), "so do the boxes")
		},
	}
	for what, harm := range breakages {
		for how, finish := range ends {
			t.Run(what+", "+how, func(t *testing.T) {
				s := begin(t, Options{})
				c, ctx := ctl(t, s)
				_, err := sleeper(s)
				require.NoError(t, err)
				require.NoError(t, harm(c, ctx, s))
				found, err := marked(stackVar, s.order.ID)
				require.NoError(t, err)
				require.NotEmpty(t, found)
				finish(t, s) // begin sees to the rest
			})
		}
	}
}

func freezeJournal(ctx context.Context, c stack.Control, s *Stack) error {
	if s.PIDs().Journald == 0 {
		return nil
	}
	return c.Freeze(ctx, stack.Journal)
}

func killJournal(ctx context.Context, c stack.Control) error {
	if err := c.Kill(ctx, stack.Journal); !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}
