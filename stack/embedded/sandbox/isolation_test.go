//go:build linux

package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBox_IsApart(t *testing.T) {
	inModes(t, func(t *testing.T, m Mode) {
		a := start(t, Config{Mode: m, Hostname: "alpha"})
		b := start(t, Config{Mode: m, Hostname: "beta"})
		require.Equal(t, "alpha alpha", output(t, a, "echo $(uname -n) $(cat /etc/hostname)"))
		require.Equal(t, "beta", output(t, b, "uname -n"))

		begin(t, a, Spec{Argv: []string{"sleep", "1234"}})
		require.Equal(t, "1 /proc/self/exe", output(t, b, "cd /proc; for p in [0-9]*; do [ $p = $$ ] || [ ! -d $p ] || echo $p $(tr '\\0' ' ' <$p/cmdline); done"))

		for _, dir := range []string{"/root", "/home", "/workspace", "/var", "/srv", "/tmp", "/run", "/etc", "/dev/shm"} {
			output(t, a, "touch "+dir+"/mine-alone")
			require.NotZero(t, run(t, b, Spec{Argv: []string{"test", "-e", dir + "/mine-alone"}}).code, dir)
			_, err := os.Stat(filepath.Join(dir, "mine-alone"))
			require.Error(t, err, "the machine's own %s", dir)
		}
		require.Equal(t, "lo:", output(t, b, "tail -n +3 /proc/net/dev | awk '{print $1}'"), "no network but loopback")
		require.Equal(t, "up", output(t, b, "grep -q 127.0.0.1 /proc/net/fib_trie && echo up"), "routes exist while lo is up")
	}, Namespaces, UserNamespaces)
}

func TestBox_RootIsComplete(t *testing.T) {
	inModes(t, func(t *testing.T, m Mode) {
		b := start(t, Config{Mode: m})
		require.Equal(t, "/root 0", output(t, b, "echo $(pwd) $(id -u)"))
		output(t, b, "echo x >/dev/null && test -c /dev/zero && head -c 4 /dev/urandom >/tmp/r && test -s /tmp/r")
		output(t, b, "echo through fd | cat /dev/stdin >/dev/stdout; test -e /dev/fd/1; test -d /var/tmp; test -w /tmp")
		require.Equal(t, "1777", output(t, b, "stat -c %a /tmp"))
		require.Equal(t, "box", output(t, b, "cat /etc/hostname"))
		require.Empty(t, output(t, b, "ls -A /mnt /media | grep -v : || true"))
		// A full /tmp is the box's own trouble and leaves the rest of it working.
		require.NotZero(t, run(t, b, sh("dd if=/dev/zero of=/tmp/full bs=1M count=100 2>/dev/null")).code)
		output(t, b, "rm /tmp/full; touch /tmp/again /etc/works")
	}, Namespaces, UserNamespaces)
}

func TestBox_HasFewPrivileges(t *testing.T) {
	inModes(t, func(t *testing.T, m Mode) {
		b := start(t, Config{Mode: m})
		require.Equal(t, "1", output(t, b, "awk '/NoNewPrivs/ {print $2}' /proc/self/status"))
		require.Equal(t, "0", output(t, b, "ulimit -c"))
		if m == Plain {
			return
		}
		var want uint64
		for c := range keptCaps {
			want |= 1 << c
		}
		for _, set := range []string{"CapBnd", "CapPrm", "CapEff"} {
			require.Equal(t, fmt.Sprintf("%016x", want), output(t, b, "awk '/"+set+"/ {print $2}' /proc/self/status"))
		}
		require.NotZero(t, run(t, b, sh("mount -t tmpfs none /mnt")).code)
		require.NotZero(t, run(t, b, sh("mknod /tmp/disk b 8 0")).code)
	})
}

func TestBox_InitSurvivesSignalsFromInside(t *testing.T) {
	inModes(t, func(t *testing.T, m Mode) {
		b := start(t, Config{Mode: m})
		output(t, b, "for s in HUP INT QUIT TERM USR1 USR2 ALRM SEGV BUS FPE ILL ABRT TRAP PIPE TSTP STOP KILL; do kill -$s 1; done")
		require.Equal(t, "still here", output(t, b, "echo still here"))
	}, Namespaces, UserNamespaces)
}

// Execs start with default signal handling, whatever the caller ignores.
func TestExec_IgnoresNoSignals(t *testing.T) {
	inModes(t, func(t *testing.T, m Mode) {
		b := start(t, Config{Mode: m})
		r := run(t, b, Spec{Argv: []string{"grep", "-E", "^Sig(Ign|Blk)", "/proc/self/status"}})
		for line := range strings.Lines(r.out) {
			mask, err := strconv.ParseUint(strings.Fields(line)[1], 16, 64)
			require.NoError(t, err)
			// Signals above 31 are the C library's own; a caller of the tests may have some of them blocked.
			require.Zero(t, mask&(1<<31-1), line)
		}
		require.Zero(t, r.code)
	})
}

// A leak check from outside finds every process of a box by its environment.
func TestBox_EnvironmentMarksEveryProcess(t *testing.T) {
	inModes(t, func(t *testing.T, m Mode) {
		id := mark()
		b := start(t, Config{Mode: m, Env: []string{id}})
		p := begin(t, b, sh("setsid sleep 1000 & sleep 1000 & echo ready; wait"))
		expect(t, p, "ready\n")
		var found []string
		require.Eventually(t, func() bool {
			found = nil
			files, err := filepath.Glob("/proc/[0-9]*/environ")
			require.NoError(t, err)
			for _, f := range files {
				env, _ := os.ReadFile(f)
				if strings.Contains(string(env), id+"\x00") {
					found = append(found, f)
				}
			}
			return len(found) == 4
		}, patience, tick)
		require.Contains(t, found, fmt.Sprintf("/proc/%d/environ", b.InitPID()))
	})
}
