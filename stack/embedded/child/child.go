// Package child lets one binary be several programs: the embedded stack runs its API, its
// runner, its keeper and the init of each box as separate operating-system processes, and all of
// them are this same executable started again. A test binary that calls Dispatch first in its
// TestMain can therefore start the whole stack too.
package child

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
)

// env names the role a re-executed process must play. It is removed before the role runs, so that
// what the role starts does not inherit it.
const env = "CHAOS_CHILD"

var (
	mu    sync.Mutex
	roles = map[string]func(args []string) int{}
)

// Register makes role available to Command. It panics when a role is registered twice: that is a
// mistake in the program, not in its input.
func Register(role string, main func(args []string) int) {
	mu.Lock()
	defer mu.Unlock()
	if _, dup := roles[role]; dup {
		panic("child: role registered twice: " + role)
	}
	roles[role] = main
}

// Dispatch turns the process into the role it was started for and never returns in that case. In
// an ordinary process it does nothing. Call it before flags are parsed.
func Dispatch() {
	role := os.Getenv(env)
	if role == "" {
		return
	}
	os.Unsetenv(env)
	mu.Lock()
	main, ok := roles[role]
	mu.Unlock()
	if !ok {
		fmt.Fprintf(os.Stderr, "chaos: unknown child role %q\n", role)
		os.Exit(2)
	}
	os.Exit(main(os.Args[1:]))
}

// Command returns an unstarted command that runs role in a new process of this executable, with an
// environment that holds nothing but PATH, HOME, TMPDIR, GORACE and the role. Append to Env as needed.
func Command(role string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = []string{env + "=" + role}
	for _, k := range []string{"PATH", "HOME", "TMPDIR", "GORACE"} {
		if v, ok := os.LookupEnv(k); ok {
			cmd.Env = append(cmd.Env, k+"="+v)
		}
	}
	return cmd
}
