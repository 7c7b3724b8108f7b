package runner

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/stack/embedded/bugs"
)

// again starts another runner process in the place of p, which has ended.
func (p *process) again(change ...func(*Config)) *process {
	p.t.Helper()
	return startProcess(p.t, slices.Concat([]func(*Config){adoptable, func(c *Config) {
		c.Dir, c.Listen, c.StackID = p.dir, p.addr, "stack-"+p.t.Name()
		c.APIURL, c.Log = p.api.URL, "file:"+filepath.Join(p.dir, "runner.log")
	}}, change)...).with(p)
}

// with makes p use the API and the directory of another.
func (p *process) with(other *process) *process {
	p.api, p.dir, p.log, p.seq = other.api, other.dir, other.log, other.seq
	return p
}

func adoptable(c *Config) { c.AdoptMillis = 60_000 }

// dies kills the runner and waits for its end.
func (p *process) dies() {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Kill())
	require.Error(p.t, receive(p.t, p.ended))
}

// ends stops the runner and its boxes.
func (p *process) ends() {
	p.t.Helper()
	require.NoError(p.t, p.stdin.Close())
	require.NoError(p.t, receive(p.t, p.ended))
	require.Empty(p.t, marked("stack-"+p.t.Name()))
}

func TestAnotherRunnerTakesOver(t *testing.T) {
	p := startProcess(t, adoptable)
	first := p.mustJob("CREATE_BOX", "running", payload{Image: "alpine", Env: map[string]string{"A": "b"}, WorkingDir: "/workspace"})
	old := p.exec("running", sh("sleep 600"))
	p.mustJob("CREATE_BOX", "stopped")
	p.mustJob("STOP_BOX", "stopped")
	p.mustJob("CREATE_BOX", "lazy", payload{Lazy: true})
	p.mustJob("CREATE_BOX", "dead")
	addr, instance := p.addr, p.api.instance()
	p.dies()
	killInit(t, "dead")
	unfinished := filepath.Join(p.dir, "boxes", "unfinished")
	require.NoError(t, os.MkdirAll(filepath.Join(unfinished, "root"), 0o700))

	p = p.again()
	require.Equal(t, addr, p.addr)
	require.NoDirExists(t, unfinished)
	require.Eventually(t, func() bool { return p.api.instance() != instance }, deadline, time.Millisecond)
	status, _ := p.call("GET", execPath("running", old), nil)
	require.Equal(t, http.StatusNotFound, status)
	require.Equal(t, "b /workspace", p.says("running", "echo $A $(pwd | grep -o /workspace)"))
	for _, box := range []string{"stopped", "lazy", "dead"} {
		status, text := p.tryExec(box, sh("true"))
		require.Equal(t, http.StatusConflict, status, text)
	}
	// Jobs that were in progress come once more.
	require.Equal(t, first.CoreID, p.mustJob("CREATE_BOX", "running").CoreID)
	require.Equal(t, "b", p.says("running", "echo $A"))
	p.mustJob("CREATE_BOX", "dead")
	clean(t, p.run("dead", sh("true")), 0)
	p.mustJob("START_BOX", "running")
	p.mustJob("START_BOX", "lazy")
	clean(t, p.run("lazy", sh("true")), 0)
	p.mustJob("STOP_BOX", "stopped")
	p.mustJob("STOP_BOX", "running")
	p.mustJob("DESTROY_BOX", "unfinished")
	p.mustJob("DESTROY_BOX", "running")
	require.NoDirExists(t, filepath.Join(p.dir, "boxes", "running"))
	require.Equal(t, 1, count(p.lines(), "adopted box id="+first.CoreID+" name=running state=running"))
	p.ends()
	left, err := os.ReadDir(filepath.Join(p.dir, "boxes"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func kill(pid string) error {
	n, err := strconv.Atoi(pid)
	if err != nil {
		return err
	}
	if err := syscall.Kill(n, syscall.SIGKILL); !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

// killInit kills the processes of a box.
func killInit(t *testing.T, box string) {
	t.Helper()
	for _, pid := range marked("stack-" + t.Name()) {
		env, _ := os.ReadFile("/proc/" + pid + "/environ")
		if strings.Contains(string(env), boxVar+"="+box) {
			require.NoError(t, kill(pid))
		}
	}
	require.Eventually(t, func() bool {
		return !slices.ContainsFunc(marked("stack-"+t.Name()), func(pid string) bool {
			env, _ := os.ReadFile("/proc/" + pid + "/environ")
			return strings.Contains(string(env), boxVar+"="+box)
		})
	}, deadline, 5*time.Millisecond)
}

func TestARunnerThatLeavesSparesItsBoxes(t *testing.T) {
	p := startProcess(t, adoptable)
	box := p.box()
	c := p.attach(box, p.exec(box, sh("echo up; echo $$ >pid; exec sleep 600")))
	var s seen
	until(t, c, &s, "up\n")
	rest := make(chan seen, 1)
	go func() { rest <- drain(c) }()
	_, err := p.stdin.Write([]byte(LeaveOrder + "\n"))
	require.NoError(t, err)
	require.NoError(t, receive(t, p.ended))
	end := receive(t, rest)
	require.Nil(t, end.exit, "the command goes on")
	require.EqualValues(t, 1001, end.closed)
	p = p.again()
	require.Equal(t, "sleep", p.says(box, "cat /proc/$(cat pid)/comm"))
	p.ends()
}

func TestBoxesEndWhenNobodyTakesOver(t *testing.T) {
	p := startProcess(t, func(c *Config) { c.AdoptMillis = 100 })
	box := p.box()
	p.exec(box, sh("setsid sleep 600 & sleep 600"))
	p.dies()
	require.Eventually(t, func() bool { return len(marked("stack-"+t.Name())) == 0 }, deadline, 5*time.Millisecond)
	p = p.again()
	status, text := p.tryExec(box, sh("true"))
	require.Equal(t, http.StatusConflict, status, text)
	p.mustJob("START_BOX", box)
	clean(t, p.run(box, sh("true")), 0)
	p.ends()
}

func TestBug_RestartForgetsBoxes(t *testing.T) {
	p := startProcess(t, adoptable, withBugs(string(bugs.RestartForgetsBoxes)))
	box := p.box()
	p.exec(box, map[string]any{"command": "sleep", "args": []string{"600"}})
	before := len(marked("stack-" + t.Name()))
	p.dies()
	p = p.again(withBugs(string(bugs.RestartForgetsBoxes)))
	status, text := p.tryExec(box, sh("true"))
	require.Equal(t, http.StatusConflict, status, text)
	require.Len(t, marked("stack-"+t.Name()), before, "it runs all the same")
	p.mustJob("DESTROY_BOX", box)
	require.Len(t, marked("stack-"+t.Name()), before)
	p.ends()
}
