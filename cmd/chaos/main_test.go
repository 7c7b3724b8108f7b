package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"chaos/stack/embedded/child"
)

// patience is for things that take moments, or a shrunk case and its replays, unless the machine is busy.
const patience = 4 * time.Minute

// TestMain makes the test binary all the programs that the scripts need: the parts of the embedded
// stack, which are told apart by their environment, and chaos itself, told apart by its name.
func TestMain(m *testing.M) {
	child.Dispatch()
	testscript.Main(m, map[string]func(){"chaos": main})
}

// TestScripts runs the program as users do. Besides testscript's own commands there are those below.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true, Setup: setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "refused": refused, "capture": capture, "json": checkJSON,
			"begin": begin, "await": await, "awaiterr": awaitErr, "interrupt": interrupt, "end": end, "up": stackUp,
			"serve": serve, "fifo": fifo, "api": callAPI, "notify": notify, "awaitnotify": awaitNotify, "scrape": scrape, "killed": killed,
		},
	})
}

// testKey finds the testing.TB of a script.
type testKey struct{}

// setup gives each script a place for temporary files with a path that is short enough for sockets,
// and checks that nothing is left there: a stack that was not put away would show.
func setup(env *testscript.Env) error {
	dir, err := os.MkdirTemp("", "ct")
	if err != nil {
		return err
	}
	env.Setenv("TMPDIR", dir)
	env.Setenv("BOXLITE_API_KEY", "")
	env.Setenv("XDG_STATE_HOME", env.WorkDir+"/.state")
	env.Setenv("GORACE", os.Getenv("GORACE"))
	t := env.T().(testing.TB)
	env.Values[testKey{}], env.Values[backgroundKey{}] = t, &background{}
	env.Values[notifiedKey{}] = &notified{}
	env.Defer(func() {
		require.Eventually(t, func() bool { return os.Remove(dir) == nil }, patience, 20*time.Millisecond, "something is left in %s", dir)
	})
	return nil
}

// run executes a program and returns its exit code.
func run(ts *testscript.TestScript, args []string) int {
	err := ts.Exec(args[0], args[1:]...)
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return failed.ExitCode()
	}
	ts.Check(err)
	return 0
}

// exits: "exits CODE program args…" checks the exact exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE program args…")
	}
	if got := run(ts, args[1:]); strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

// refused: "refused CODE PATTERN program args…" checks that bad input gives this exit code, exactly
// one line on stderr, which matches the pattern, nothing on stdout, and nothing new on disk.
func refused(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: refused CODE PATTERN program args…")
	}
	before := files(ts)
	exits(ts, false, append(args[:1:1], args[2:]...))
	if out := ts.ReadFile("stdout"); out != "" {
		ts.Fatalf("stdout is not empty")
	}
	line := ts.ReadFile("stderr")
	if strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") || !strings.HasPrefix(line, "chaos") {
		ts.Fatalf("stderr is not one line of chaos: %q", line)
	}
	if !compile(ts, args[1]).MatchString(line) {
		ts.Fatalf("stderr does not match %q", args[1])
	}
	if after := files(ts); after != before {
		ts.Fatalf("the disk has changed, before:\n%sand now:\n%s", before, after)
	}
}

func compile(ts *testscript.TestScript, pattern string) *regexp.Regexp {
	re, err := regexp.Compile("(?m)" + pattern)
	ts.Check(err)
	return re
}

// files lists everything that the script's programs can leave behind. What is inside the folders of
// stacks, in TMPDIR, changes while they run.
func files(ts *testscript.TestScript) string {
	var b strings.Builder
	ts.Check(filepath.WalkDir(ts.Getenv("WORK"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && !d.IsDir() {
			fmt.Fprintln(&b, path, info.Size(), info.ModTime())
		} else {
			fmt.Fprintln(&b, path)
		}
		return err
	}))
	stacks, err := filepath.Glob(filepath.Join(ts.Getenv("TMPDIR"), "*"))
	ts.Check(err)
	return b.String() + strings.Join(stacks, "\n")
}

// capture: "capture NAME PATTERN" sets an environment variable to what the pattern's group matches
// in the last stdout.
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: capture NAME PATTERN")
	}
	m := compile(ts, args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(m) != 2 {
		ts.Fatalf("no match for %q", args[1])
	}
	ts.Setenv(args[0], m[1])
}

// checkJSON: "json FILE path=value…" checks that a file is JSON and what is at paths like
// findings.0.case in it. The value of an object or a list is its length.
func checkJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: json FILE path=value…")
	}
	var doc any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &doc))
	for _, arg := range args[1:] {
		path, want, _ := strings.Cut(arg, "=")
		if got := at(doc, path); got != want {
			ts.Fatalf("%s is %q, want %q", path, got, want)
		}
	}
}

func at(doc any, path string) string {
	for key := range strings.SplitSeq(path, ".") {
		switch x := doc.(type) {
		case map[string]any:
			if key != "" {
				doc = x[key]
			}
		case []any:
			if i, err := strconv.Atoi(key); err == nil && i < len(x) {
				doc = x[i]
			}
		}
	}
	switch x := doc.(type) {
	case map[string]any:
		return strconv.Itoa(len(x))
	case []any:
		return strconv.Itoa(len(x))
	}
	return fmt.Sprint(doc)
}
