package model_test

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"chaos/model"
)

// runs runs the script of p in the machine's shell with input on standard input.
func runs(t require.TestingT, p model.Payload, input []byte) (out, errOut string) {
	argv := p.Argv()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin = bytes.NewReader(input)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	require.NoError(t, cmd.Run())
	return o.String(), e.String()
}

func TestPayload_AnyPrefixOfTheInputComesBackAsTheScriptReadIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := model.Payload{
			Token: "run-1.e7", Stdin: rapid.SampledFrom([]int{1, 2, 9, 300}).Draw(t, "stdin"), Stdout: rapid.SampledFrom([]int{0, 3, 20}).Draw(t, "stdout"),
			Stderr: rapid.SampledFrom([]int{0, 20}).Draw(t, "stderr"),
		}
		if rapid.Bool().Draw(t, "sleep") {
			p.Sleep = time.Millisecond
		}
		input := p.Input()
		out, errOut := runs(t, p, input)
		require.Equal(t, string(p.Expected(model.Out)), out)
		require.Equal(t, string(p.Expected(model.Err)), errOut)

		cut := rapid.IntRange(0, len(input)).Draw(t, "cut")
		out, _ = runs(t, p, input[:cut])
		back := p.ReadBack([]byte(out))
		require.Equal(t, strings.TrimSuffix(string(input[:cut]), "\n"), string(back.Input))
		require.Equal(t, back.Lines, back.Told)
		require.Equal(t, string(p.ExpectedAfter(back.Told, nil)), string(back.Rest))
	})
}

func TestPayload_ReadBackOfAnyPrefixOfTheOutputIsAPrefix(t *testing.T) {
	p := model.Payload{Token: "run-1.e7", Stdin: 12, Stdout: 3}
	whole := p.Expected(model.Out)
	for n := range whole {
		back := p.ReadBack(whole[:n])
		require.True(t, bytes.HasPrefix(p.ExpectedAfter(p.Stdin, nil), back.Rest), "%q", back.Rest)
		require.True(t, bytes.HasPrefix(p.Input(), back.Input), "%q", back.Input)
		require.Equal(t, -1, back.Told)
	}
	back := p.ReadBack(whole)
	require.Equal(t, model.ReadBack{Rest: p.ExpectedAfter(12, nil), Input: bytes.TrimSuffix(p.Input(), []byte("\n")), Lines: 12, Told: 12}, back)
}

// TestPayload_ReadBackBlamesTheWayOutForWhatWasLostThere: a gap in the report ends what is known of the input.
func TestPayload_ReadBackBlamesTheWayOutForWhatWasLostThere(t *testing.T) {
	p := model.Payload{Token: "run-1.e7", Stdin: 30}
	whole := p.Expected(model.Out)
	for from := 0; from < len(whole)-200; from += 13 {
		torn := append(append([]byte{}, whole[:from]...), whole[from+150:]...)
		back := p.ReadBack(torn)
		require.True(t, bytes.HasPrefix(p.Input(), back.Input), "without bytes %d to %d: %q", from, from+150, back.Input)
		require.NotEqual(t, back.Lines, back.Told)
		require.NotEqual(t, string(p.ExpectedAfter(p.Stdin, nil)), string(back.Rest))
	}
}

func TestPayload_UTF8IsWrittenByteForByte(t *testing.T) {
	for _, n := range []int{1, 8, 9, 1000} {
		p := model.Payload{Token: "run-1.e7", Stdout: n, Stderr: n, UTF8: true}
		out, errOut := runs(t, p, nil)
		require.Equal(t, string(p.Expected(model.Out)), out)
		require.Equal(t, string(p.Expected(model.Err)), errOut)
		require.True(t, utf8.ValidString(out))
	}
	p := model.Payload{Token: "run-1.e7", Stdout: 1000, UTF8: true}
	all := p.Expected(model.Out)
	require.Less(t, len(all), 256<<10, "what is drawn stays inside what a server keeps")
	cut := 0
	for at := 1024; at < len(all); at += 1024 {
		if !utf8.RuneStart(all[at]) {
			cut++
		}
	}
	require.Greater(t, cut, len(all)/1024/5, "many chunk boundaries cut a character")
}

func TestPayload_MuchOutputIsExactAndFast(t *testing.T) {
	p := model.Payload{Token: "run-1.e7", Stdout: 200_000, Sleep: time.Millisecond}
	out, _ := runs(t, p, nil)
	require.True(t, string(p.Expected(model.Out)) == out, "%d bytes", len(out))
	require.Greater(t, p.Duration(), time.Second, "it takes a machine some time")
}
