package model

import "testing"

func FuzzParseFlags(f *testing.F) {
	for _, text := range []string{"", "exec-on-stopped=reject", "stop=sync,after-create=running", "stop=", "=", ",", "stop=sync,stop=async"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		flags, err := ParseFlags(text)
		if err != nil {
			return
		}
		again, err := ParseFlags(flags.String())
		if err != nil || again.String() != flags.String() {
			t.Fatalf("%q became %q, and that %q: %v", text, flags, again, err)
		}
	})
}

func FuzzSight(f *testing.F) {
	for _, line := range []string{"", "created box id=a name=b", `Executing job job_type="x y" resource_id=b`, `exec finished execution_id=e exit_code=\`, `a="b`} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if s, _, ok := Sight(line); ok && s.BoxID == "" && s.ExecID == "" {
			t.Fatalf("%q proves something of nothing", line)
		}
	})
}
