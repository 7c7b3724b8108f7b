package repro_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/actions"
	"chaos/cmd/internal/report/repro"
	"chaos/corpus"
	"chaos/model"
	"chaos/stack/embedded"
	"chaos/stack/embedded/bugs"
	"chaos/stack/embedded/child"
)

func TestMain(m *testing.M) {
	child.Dispatch()
	os.Exit(m.Run())
}

const regressions = "../../../../corpus/regressions"

func load(t *testing.T, name string) *corpus.Case {
	t.Helper()
	c, err := corpus.Load(filepath.Join(regressions, name+corpus.Ext), actions.Vocabulary{})
	require.NoError(t, err)
	return c
}

// start starts a stack of the kind that c was found on, with bugs or clean.
func start(t *testing.T, c *corpus.Case, on []string) *embedded.Stack {
	t.Helper()
	set, err := bugs.Parse(strings.Join(on, ","))
	require.NoError(t, err)
	flags, err := model.ParseFlags(c.Flags)
	require.NoError(t, err)
	s, err := embedded.Start(t.Context(), embedded.Options{Bugs: set, Profile: c.Profile, Flags: flags, SyncInterval: 15 * time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		require.NoError(t, s.Stop(ctx))
	})
	return s
}

// kind is a form of program, and how to run a file of it.
type kind struct {
	name, file string
	needs      []string
	text       func(*repro.Program) (string, error)
	run        func(file string) []string
}

var kinds = []kind{
	{"sh", "repro.sh", []string{"bash", "curl", "python3"}, func(p *repro.Program) (string, error) { return p.Shell(), nil }, func(f string) []string { return []string{"bash", f} }},
	{"go", "repro_test.go", []string{"go"}, (*repro.Program).GoTest, func(f string) []string { return []string{"go", "test", "-count=1", f} }},
	{"pytest", "test_repro.py", []string{"python3", "pytest"}, func(p *repro.Program) (string, error) { return p.Pytest(), nil },
		func(f string) []string {
			return []string{"python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "faulthandler_timeout=60", f}
		}},
}

// perform runs the program on s and returns its exit code and what it printed.
func perform(t *testing.T, k kind, p *repro.Program, env ...string) (int, string) {
	t.Helper()
	for _, tool := range k.needs {
		args := []string{tool}
		if tool == "pytest" {
			args = []string{"python3", "-m", "pytest", "--version"}
		}
		_, err := exec.LookPath(args[0])
		if err == nil && len(args) > 1 {
			err = exec.Command(args[0], args[1:]...).Run()
		}
		if err != nil {
			t.Skipf("%s is not here, so the %s program cannot be run: %v", tool, k.name, err)
		}
	}
	text, err := k.text(p)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), k.file)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o755))
	argv := k.run(file)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.WaitDelay = 5 * time.Second
	cmd.Dir = filepath.Dir(file)
	cmd.Env = append(os.Environ(), append([]string{"GOFLAGS=", "GOWORK=off"}, env...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	var ee *exec.ExitError
	switch {
	case errors.As(err, &ee):
		return ee.ExitCode(), out.String()
	case err != nil:
		require.NoError(t, err)
	}
	return 0, out.String()
}

func target(s *embedded.Stack) []string {
	return []string{"BOXLITE_URL=" + s.URL(), "BOXLITE_API_KEY=" + s.Key(), "BOXLITE_OTHER_API_KEY=" + s.OtherKey()}
}

// executed are cases of different promises whose programs are run.
var executed = []string{
	"typed-errors-stop-500-1920fd00", "typed-errors-exec-500-a7990533", "error-shape-stop-status-400-says-500-96aea209", "allowed-answers-create-cpus-zero-201-421e108e",
	"access-probe-stop-500-e2adb992", "tenant-isolation-probe-metrics-not-turned-away-f8c9bbfe", "unique-names-create-one-name-two-boxes-e3f327e6",
	"output-complete-attach-truncated-first-attach-b3a1eca9", "output-exact-attach-corrupt-first-attach-222af1d9", "one-exit-info-codes-differ-90e63767",
	"files-persist-exec-file-gone-after-a-restart-34bf37e8",
}

// mostTries is how often a program may miss its bug, each time with all of its rounds.
const mostTries = 10

// TestProgram_FailsWithTheBugAndPassesWithout performs programs on both kinds of stack: two of the three kinds of
// each case, or all with CHAOS_EXPORT_ALL=1.
func TestProgram_FailsWithTheBugAndPassesWithout(t *testing.T) {
	if testing.Short() {
		t.Skip("programs are run on real stacks")
	}
	clean := map[string]*embedded.Stack{}
	for i, name := range executed {
		c := load(t, name)
		if clean[c.Flags] == nil {
			clean[c.Flags] = start(t, c, nil)
		}
		t.Run(name, func(t *testing.T) {
			p, err := repro.New(c)
			require.NoError(t, err)
			buggy := start(t, c, c.Bugs)
			for n, k := range kinds {
				if os.Getenv("CHAOS_EXPORT_ALL") == "" && i%3 == n {
					continue // each kind is left out of every third case: a Go test is slow to compile
				}
				t.Run(k.name, func(t *testing.T) {
					code, out := perform(t, k, p, target(buggy)...)
					// How often a race is lost depends on the machine, and the rounds are those of another one.
					for try := 1; code == 0 && try < mostTries; try++ {
						code, out = perform(t, k, p, target(buggy)...)
					}
					require.Equal(t, 1, code, "with the bug:\n%s", out)
					require.Contains(t, out, "promised: "+p.Promise)
					quick := *p
					quick.Rounds = min(p.Rounds, 4)
					code, out = perform(t, k, &quick, target(clean[c.Flags])...)
					require.Zero(t, code, "on the clean stack:\n%s", out)
				})
			}
		})
	}
}
