package live_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/stack"
	"chaos/stack/live"
)

func TestParseJournal(t *testing.T) {
	for text, want := range map[string]live.JournalPlace{"": {}, "none": {}, "unit:boxlite-runner": {Kind: "unit", Name: "boxlite-runner"},
		"file:/var/log/x:y.log": {Kind: "file", Name: "/var/log/x:y.log"}, "dir:j": {Kind: "dir", Name: "j"}} {
		got, err := live.ParseJournal(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"unit:", "file:", "boxlite-runner", "units:x", "unit:a b", "unit:../x", "unit:-M", "unit:a=b", "unit:a*"} {
		_, err := live.ParseJournal(text)
		require.Error(t, err, text)
	}
}

func TestParseControl(t *testing.T) {
	got, err := live.ParseControl("unit:api=boxlite-api,runner=r.service")
	require.NoError(t, err)
	require.Equal(t, map[stack.Part]string{stack.API: "boxlite-api.service", stack.Runner: "r.service"}, got)
	for _, text := range []string{"unit:", "api=x", "unit:api", "unit:api=", "unit:api=a,api=b", "unit:journal=x", "unit:api=a,", "unit:api=a b"} {
		_, err := live.ParseControl(text)
		require.Error(t, err, text)
	}
}

func FuzzParseSpecs(f *testing.F) {
	for _, text := range []string{"", "none", "unit:x", "file:/x", "unit:api=a,runner=b", "unit:api=-x"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := live.ParseJournal(text); err == nil && p.Kind == "unit" && (strings.ContainsAny(p.Name, " =/\n") || p.Name[0] == '-') {
			t.Fatalf("%q gives unit %q", text, p.Name)
		}
		units, err := live.ParseControl(text)
		for _, unit := range units {
			if err != nil || !strings.Contains(unit, ".") || unit[0] == '-' {
				t.Fatalf("%q gives unit %q", text, unit)
			}
		}
		_ = live.Config{URL: text, Journal: text, Control: text}.Check() // must not panic
	})
}
