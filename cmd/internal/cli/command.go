package cli

import (
	"net/url"
	"os"
	"regexp"
	"strings"

	"chaos/stack/embedded/bugs"
)

// Commands that are printed can be pasted into a shell as they are.

// self is how the user starts this program again.
func self() string {
	if exe, err := os.Executable(); err == nil && strings.Contains(exe, "/go-build") {
		return "go run ./cmd/chaos"
	}
	return quote(os.Args[0])
}

// command returns the line that starts this program with args.
func command(args ...string) string {
	out := self()
	for _, a := range args {
		out += " " + quote(a)
	}
	return out
}

var shellSafe = regexp.MustCompile(`^[A-Za-z0-9_./:=@%+,-]+$`)

// quote returns s as one word of a shell.
func quote(s string) string {
	if shellSafe.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// words returns the flags that name the stack of f again, but for the key, which is never printed.
func (f *stackFlags) words() []string {
	var out []string
	if set, err := bugs.Parse(f.bugs); err == nil && len(set) > 0 {
		out = append(out, "--bug", set.String())
	}
	if f.stack != "embedded" && f.credentials != "" {
		out = append(out, "--stack-profile", f.credentials)
	} else if f.stack != "embedded" {
		out = append(out, "--stack", f.stack)
	}
	for _, x := range [][2]string{{"--journal", f.journal}, {"--image", f.image}, {"--path-prefix", f.prefix}, {"--yes-this-is-not-loopback", f.host}} {
		if x[1] != "" && f.stack != "embedded" {
			out = append(out, x[0], x[1])
		}
	}
	if f.profile != "" {
		out = append(out, "--profile", f.profile)
	}
	if f.contract != "" {
		out = append(out, "--contract", f.contract)
	}
	return out
}

// keyNeeded says what must be there for a printed command to work, or "".
func (f *stackFlags) keyNeeded() string {
	if f.stack == "embedded" || f.credentials != "" || f.apiKey() == "" {
		return ""
	}
	if f.otherAPIKey() != "" {
		return "needs the API keys in " + keyVariable + " and " + otherKeyVariable
	}
	return "needs the API key in " + keyVariable
}

// Where the keys of a stack given by URL come from when --key and --other-key are not given.
const (
	keyVariable      = "BOXLITE_API_KEY"
	otherKeyVariable = "BOXLITE_OTHER_API_KEY"
)

func (f *stackFlags) apiKey() string {
	if f.key != "" {
		return f.key
	}
	return os.Getenv(keyVariable)
}

func (f *stackFlags) otherAPIKey() string {
	if f.otherKey != "" {
		return f.otherKey
	}
	return os.Getenv(otherKeyVariable)
}

// replayCommand is what to type to see the case fail again.
func (f *runFlags) replayCommand(name string) string {
	args := []string{"replay", name}
	if f.corpus != defaultCorpus {
		args = append(args, "--corpus", f.corpus)
	}
	return command(append(args, f.words()...)...)
}

// cutVersion returns a stack's URL without the /v1 that the client adds itself.
func cutVersion(stack string) (base string, has bool) {
	u, err := url.Parse(stack)
	if err != nil || !strings.HasSuffix(strings.TrimRight(u.Path, "/"), "/v1") {
		return stack, false
	}
	return strings.CutSuffix(strings.TrimRight(stack, "/"), "/v1")
}
