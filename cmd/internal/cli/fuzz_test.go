package cli

import (
	"strings"
	"testing"
)

func FuzzParseStack(f *testing.F) {
	for _, text := range []string{"embedded", "embedded --bug stdout-race", "http://127.0.0.1:1/api --key K", "--key", "http://127.0.0.1 --journal unit:x --max-boxes 7", "x --profile=", "-kX"} {
		f.Add(text)
	}
	f.Setenv("XDG_STATE_HOME", f.TempDir())
	f.Setenv(keyVariable, "")
	const canary = "CANARY"
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ReplaceAll(text, canary, "")
		_, err := parseStack("--base", text+" --key "+canary)
		if err != nil && strings.Contains(err.Error(), canary) {
			t.Fatalf("%q: %v", text, err)
		}
	})
}

func FuzzParseDelay(f *testing.F) {
	for _, text := range []string{"", "1s", "500ms-3s", "-1s", "1s-", "1h", "3s-1s"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if least, most, err := parseDelay(text); err == nil && (least < 0 || most < least) {
			t.Fatalf("%q gives %s to %s", text, least, most)
		}
	})
}
