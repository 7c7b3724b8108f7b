package model_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/model"
)

// shells are the shells of this machine that the scripts must work with.
func shells() [][]string {
	all := [][]string{{"sh"}}
	for _, s := range [][]string{{"busybox", "sh"}, {"dash"}, {"bash"}} {
		if _, err := exec.LookPath(s[0]); err == nil {
			all = append(all, s)
		}
	}
	return all
}

// inShell runs the payload in dir as a box would and returns its stdout.
func inShell(t *testing.T, shell []string, dir string, p model.Payload) string {
	argv := append(append([]string{}, shell...), p.Argv()[1:]...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CHAOS_STACK=not of an exec")
	for k, v := range p.Vars() {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// A file, for a pipe would be held open by the children.
	stdout, err := os.Create(filepath.Join(t.TempDir(), "stdout"))
	require.NoError(t, err)
	defer stdout.Close()
	cmd.Stdout = stdout
	require.NoError(t, cmd.Run())
	t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	out, err := os.ReadFile(stdout.Name())
	require.NoError(t, err)
	return string(out)
}

func everyShell(t *testing.T, f func(t *testing.T, run func(dir string, p model.Payload) string)) {
	for _, s := range shells() {
		t.Run(strings.Join(s, " "), func(t *testing.T) {
			f(t, func(dir string, p model.Payload) string { return inShell(t, s, dir, p) })
		})
	}
}

func told(t *testing.T, p model.Payload, out, kind string) string {
	v, ok := p.Tells([]byte(out))[kind]
	require.True(t, ok, out)
	require.True(t, strings.HasSuffix(out[:v.End], v.Value+"\n"), "the end of the line")
	require.Equal(t, string(p.ExpectedTelling(model.Out, p.Tells([]byte(out)))), out, "everything else is as expected")
	return v.Value
}

func TestPayload_ReadTellsWhatWasWritten(t *testing.T) {
	everyShell(t, func(t *testing.T, run func(string, model.Payload) string) {
		dir := t.TempDir()
		r := model.Payload{Token: "t-1.e1", Read: "f1", Stdout: 3}
		require.Equal(t, model.FileAbsent, told(t, r, run(dir, r), model.TellRead), "an empty box")
		w := model.Payload{Token: "t-1.e2", Write: "f1"}
		require.Equal(t, "ok", told(t, w, run(dir, w), model.TellWrite))
		require.Equal(t, model.FileValue("t-1.e2", "f1"), told(t, r, run(dir, r), model.TellRead))
		both := model.Payload{Token: "t-1.e3", Write: "f1", Read: "f1"}
		require.Equal(t, model.FileValue("t-1.e3", "f1"), told(t, both, run(dir, both), model.TellRead), "the last write counts")
		other := model.Payload{Token: "t-1.e4", Read: "f2"}
		require.Equal(t, model.FileAbsent, told(t, other, run(dir, other), model.TellRead))
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		require.NoError(t, err)
		require.Len(t, files, 1, "nothing but the file is left")
	})
}

func TestPayload_ReadTellsDamage(t *testing.T) {
	everyShell(t, func(t *testing.T, run func(string, model.Payload) string) {
		dir := t.TempDir()
		w, r := model.Payload{Token: "t-1.e1", Write: "f2"}, model.Payload{Token: "t-1.e2", Read: "f2"}
		run(dir, w)
		file := filepath.Join(dir, "chaos-f2")
		whole, err := os.ReadFile(file)
		require.NoError(t, err)
		flipped := append([]byte{}, whole...)
		flipped[4000] ^= 1
		for what, content := range map[string][]byte{
			"empty": nil, "cut": whole[:4096], "zeroes": make([]byte, len(whole)), "zeroes at the end": append(append([]byte{}, whole[:4096]...), make([]byte, 3000)...),
			"flipped": flipped, "of the other file": bytes.ReplaceAll(whole, []byte(" 2 "), []byte(" 1 ")), "twice": append(append([]byte{}, whole...), whole...), "words": []byte("* $(id) `id`\n\n\"'\n"),
		} {
			require.NoError(t, os.WriteFile(file, content, 0o600))
			value := told(t, r, run(dir, r), model.TellRead)
			require.NotEqual(t, model.FileValue("t-1.e1", "f2"), value, what)
			require.NotEqual(t, model.FileAbsent, value, what)
		}
	})
}

func TestPayload_AWriteThatFailsSaysSo(t *testing.T) {
	everyShell(t, func(t *testing.T, run func(string, model.Payload) string) {
		dir := t.TempDir()
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "chaos-f1.t-1.e1"), 0o700))
		w := model.Payload{Token: "t-1.e1", Write: "f1"}
		require.Equal(t, model.TellFailed, told(t, w, run(dir, w), model.TellWrite))
	})
}

func TestPayload_EnvTellsTheVariablesOfAllExecs(t *testing.T) {
	everyShell(t, func(t *testing.T, run func(string, model.Payload) string) {
		p := model.Payload{Token: "t-1.e1", Env: true}
		require.Equal(t, string(p.Expected(model.Out)), run(t.TempDir(), p))
		t.Setenv(model.OwnEnvName("t-1.e9"), "t-1.e9")
		v := p.Tells([]byte(run(t.TempDir(), p)))[model.TellEnv]
		require.ElementsMatch(t, []string{"CHAOS_ENV_t_1_e9=t-1.e9", "CHAOS_ENV_t_1_e1=t-1.e1", "CHAOS_TOKEN=t-1.e1"}, v.Words())
	})
}

func TestPayload_ReadTellsWhoseChildrenLive(t *testing.T) {
	everyShell(t, func(t *testing.T, run func(string, model.Payload) string) {
		token := fmt.Sprintf("t-%d.e1", os.Getpid())
		look := model.Payload{Token: "t-1.e2", Read: "f1"}
		alive := func() []string { return look.Tells([]byte(run(t.TempDir(), look)))[model.TellAlive].Words() }
		require.NotContains(t, alive(), token)
		run(t.TempDir(), model.Payload{Token: token, Child: true})
		require.Contains(t, alive(), token)
	})
}

func TestPayload_TornLinesTellNothing(t *testing.T) {
	p := model.Payload{Token: "t-1.e1", Env: true, Write: "f1", Read: "f2"}
	whole := string(p.Expected(model.Out))
	require.Len(t, p.Tells([]byte(whole)), 4)
	for cut := range whole {
		seen := p.Tells([]byte(whole[:cut]))
		require.LessOrEqual(t, len(seen), strings.Count(whole[:cut], "\n"))
		for kind, v := range seen {
			require.Equal(t, p.Tells([]byte(whole))[kind], v)
		}
	}
	for _, line := range []string{"t-1.e1 read f2 absent", "t-1.e1 read f1 absent\n", "t-1.e2 read f2 absent\n", "t-1.e1 read f2 t-1.e1 2 12 200\n", "x t-1.e1 read f2 absent\n"} {
		require.Empty(t, model.Payload{Token: "t-1.e1", Read: "f2"}.Tells([]byte(line)), line)
	}
	require.Len(t, model.Payload{Token: "t-1.e1", Read: "f2"}.Tells([]byte("t-1.e1 read f2 absent\r\n")), 1, "as a terminal ends lines")
}

func TestFileValue_TellsFilesAndExecsApart(t *testing.T) {
	seen := map[string]bool{}
	for _, file := range model.Files {
		for _, token := range []string{"t-1.e1", "t-1.e2", "t-2.e1"} {
			seen[model.FileValue(token, file)] = true
		}
	}
	require.Len(t, seen, 6)
}
