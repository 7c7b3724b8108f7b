package model_test

import (
	"bytes"
	"errors"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"chaos/model"
)

// TestPayload_ScriptWritesWhatIsExpected runs real scripts in the machine's shell.
func TestPayload_ScriptWritesWhatIsExpected(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SampledFrom([]int{0, 1, 3, 8, 9, 40, 400})
		p := model.Payload{
			Token:  rapid.StringMatching(`[a-z0-9]{1,8}-[0-9]{1,3}\.e[0-9]{1,2}`).Draw(t, "token"),
			Stdout: lines.Draw(t, "stdout"), Stderr: lines.Draw(t, "stderr"), Exit: rapid.IntRange(0, 255).Draw(t, "exit"),
			Env: rapid.Bool().Draw(t, "env"),
		}
		if rapid.Bool().Draw(t, "sleep") {
			p.Sleep = time.Millisecond
		}
		if rapid.Bool().Draw(t, "cwd") {
			p.Dir = "/"
		}
		argv := p.Argv()
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Dir = p.Dir
		cmd.Env = cmd.Environ()
		for k, v := range p.Vars() {
			cmd.Env = append(cmd.Env, k+"="+v)
		}
		var out, errOut bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errOut
		err := cmd.Run()
		code := 0
		var ee *exec.ExitError
		if errors.As(err, &ee) {
			code = ee.ExitCode()
		} else {
			require.NoError(t, err)
		}
		require.Equal(t, p.Exit, code)
		require.Equal(t, string(p.Expected(model.Out)), out.String())
		require.Equal(t, string(p.Expected(model.Err)), errOut.String())
	})
}

func TestPayload_LinesAreUnique(t *testing.T) {
	p := model.Payload{Token: "t-1.e1", Stdout: 5000, Stderr: 5000}
	seen := map[string]bool{}
	for _, stream := range []byte{model.Out, model.Err} {
		for _, line := range bytes.Split(bytes.TrimSpace(p.Expected(stream)), []byte("\n")) {
			require.False(t, seen[string(line)], "line %s stands twice", line)
			seen[string(line)] = true
		}
		require.Less(t, len(p.Expected(stream)), 256<<10, "a server must keep this much of a stream")
	}
}
