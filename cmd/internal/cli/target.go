package cli

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"chaos/stack/live"
)

// liveFlags are those of a stack that is there already. They are comparable, as all of stackFlags.
type liveFlags struct {
	credentials   string // name of a profile of credentials.toml
	prefix, image string
	host          string // one that is not loopback, and confirmed
	journal       string
	control       string
	ledger        string
	boxes         int
	creates       int
	outputMiB     int
	autoStop      time.Duration
	autoDelete    time.Duration

	origin  string // where it was said which stack to take
	warning string // about the file of credentials
	tell    io.Writer
}

// liveOnly are the flags that make no sense on the embedded stack.
var liveOnly = []string{"key", "other-key", "path-prefix", "image", "yes-this-is-not-loopback", "journal", "control", "ledger", "max-boxes", "max-creates", "max-output", "auto-stop", "auto-delete"}

func (f *stackFlags) addLive(fl *pflag.FlagSet) {
	fl.StringVar(&f.key, "key", "", "API key of a stack given by URL (default $BOXLITE_API_KEY)")
	fl.StringVar(&f.otherKey, "other-key", "", "key of another organization of that stack, which must not get at our boxes (default $BOXLITE_OTHER_API_KEY)")
	fl.Var((*named)(&f.credentials), "stack-profile", "take URL and key from this profile of ~/.boxlite/credentials.toml")
	fl.StringVar(&f.prefix, "path-prefix", "", "path prefix of a stack that does not tell it (default what /v1/me says)")
	fl.StringVar(&f.image, "image", "", "image of the boxes on a stack given by URL (default alpine:latest)")
	fl.StringVar(&f.host, "yes-this-is-not-loopback", "", "confirm that the stack on this HOST, which is not this machine, may be worked hard")
	fl.StringVar(&f.journal, "journal", "", "where the runner of a stack given by URL logs: unit:NAME, file:PATH, dir:PATH (of journal files) or none (default none)")
	fl.StringVar(&f.control, "control", "", "systemd units of the parts of a stack given by URL, for faults, as unit:api=NAME,runner=NAME (default they are left alone)")
	fl.StringVar(&f.ledger, "ledger", "", "folder where it is written down what is made on a stack given by URL (default $XDG_STATE_HOME/chaos/ledger)")
	fl.IntVar(&f.boxes, "max-boxes", live.DefaultCaps.Boxes, "most boxes at once on a stack given by URL")
	fl.IntVar(&f.creates, "max-creates", live.DefaultCaps.CreatesPerMinute, "most creates a minute on a stack given by URL")
	fl.IntVar(&f.outputMiB, "max-output", int(live.DefaultCaps.OutputBytes>>20), "most MiB that a stack given by URL may send in all")
	fl.DurationVar(&f.autoStop, "auto-stop", live.DefaultLifetime.AutoStop, "have boxes on a stack given by URL stopped by it after this long without activity; 0 = do not ask for it")
	fl.DurationVar(&f.autoDelete, "auto-delete", live.DefaultLifetime.AutoDelete, "and deleted this long after they stopped")
}

// settleBefore makes cmd settle which stack is meant, once its flags are read.
func (f *stackFlags) settleBefore(cmd *cobra.Command) {
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		f.tell = cmd.ErrOrStderr()
		return f.settle(cmd.Flags().Changed, os.Getenv)
	}
}

// settle finds out which stack is meant: flags count before the environment, and that before the file of
// credentials. given says which flags were given.
func (f *stackFlags) settle(given func(flag string) bool, env func(string) string) error {
	if err := f.chooseStack(given("stack"), env); err != nil {
		return err
	}
	if f.stack == "embedded" {
		for _, name := range liveOnly {
			if given(name) {
				return usagef("--%s is for a stack given by URL; name it with --stack", name)
			}
		}
		return nil
	}
	f.key = cmp.Or(f.key, envKey(env))
	f.prefix = cmp.Or(f.prefix, env("BOXLITE_E2E_PREFIX"))
	f.image = cmp.Or(f.image, env("BOXLITE_E2E_IMAGE"))
	if f.journal == "" && env("BOXLITE_E2E_SKIP_PATH_VERIFY") != "1" {
		if unit, log := env("BOXLITE_E2E_RUNNER_UNIT"), env("BOXLITE_E2E_RUNNER_LOG"); log != "" {
			f.journal = "file:" + log
		} else if unit != "" {
			f.journal = "unit:" + unit
		}
	}
	if f.ledger == "" {
		f.ledger = ledgerDir(env)
	}
	return f.checkLive()
}

// chooseStack finds URL and key.
func (f *stackFlags) chooseStack(byFlag bool, env func(string) string) error {
	if byFlag && f.stack == "embedded" {
		f.origin = "--stack"
		if f.credentials != "" {
			return usagef("--stack embedded needs no --stack-profile; leave one of the two out")
		}
		return nil
	}
	profile, from := f.credentials, "--stack-profile"
	for _, name := range []string{"BOXLITE_E2E_PROFILE", "BOXLITE_PROFILE"} {
		if profile == "" && env(name) != "" {
			profile, from = env(name), name
		}
	}
	url, where := "", ""
	for _, name := range []string{"BOXLITE_E2E_API_URL", "BOXLITE_REST_URL"} {
		if url == "" && env(name) != "" {
			url, where = env(name), name
		}
	}
	switch {
	case byFlag:
		f.origin = "--stack"
		if f.credentials == "" {
			return nil
		}
	case url != "" && f.credentials == "":
		f.stack, f.origin = url, where
		return nil
	case profile == "":
		f.origin = "nothing names another"
		return nil
	}
	return f.fromProfile(profile, from, byFlag, env)
}

// envKey is the key that the environment gives.
func envKey(env func(string) string) string {
	if env("BOXLITE_E2E_AUTH") == "oidc" {
		return env("BOXLITE_E2E_OIDC_TOKEN")
	}
	return cmp.Or(env("BOXLITE_E2E_API_KEY"), env(keyVariable))
}

// fromProfile takes URL and key, where they are still missing, from a profile of the file of credentials.
func (f *stackFlags) fromProfile(profile, from string, onlyKey bool, env func(string) string) error {
	path := live.CredentialsPath(env("BOXLITE_HOME"), env("HOME"))
	if path == "" {
		return usagef("%s %s: there is no home folder to look for .boxlite/credentials.toml in; set BOXLITE_HOME", from, profile)
	}
	all, warning, err := live.ReadCredentials(path)
	if os.IsNotExist(err) {
		return usagef("%s %s: there is no file %s", from, profile, path)
	}
	if err != nil {
		return err
	}
	c, ok := all[profile]
	if !ok {
		return usagef("%s %s: %s has no such profile; it has: %s", from, profile, path, cmp.Or(strings.Join(slices.Sorted(maps.Keys(all)), " "), "none"))
	}
	if !onlyKey {
		if c.URL == "" {
			return usagef("%s %s: %s gives no url for it", from, profile, path)
		}
		f.stack, f.origin = c.URL, fmt.Sprintf("profile %s of %s (%s)", profile, path, from)
	}
	f.warning, f.key, f.prefix = warning, cmp.Or(f.key, envKey(env), c.Bearer()), cmp.Or(f.prefix, c.Prefix)
	return nil
}

// ledgerDir is where ledgers are kept unless told otherwise, "" if there is no such place.
func ledgerDir(env func(string) string) string {
	if state := env("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "chaos", "ledger")
	}
	if home := env("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "state", "chaos", "ledger")
	}
	return ""
}

// checkLive looks at the numbers.
func (f *stackFlags) checkLive() error {
	switch {
	case f.boxes < 5:
		return usagef("--max-boxes %d: want 5 or more, as many as one plan makes", f.boxes)
	case f.creates < 2:
		return usagef("--max-creates %d: want 2 or more", f.creates)
	case f.outputMiB < 1:
		return usagef("--max-output %d: want 1 or more MiB", f.outputMiB)
	case f.autoStop != 0 && f.autoStop < time.Minute || f.autoStop%time.Second != 0:
		return usagef("--auto-stop %s: want 0 or whole seconds, 1m0s or more", f.autoStop)
	case f.autoDelete < 0 || f.autoDelete%time.Second != 0:
		return usagef("--auto-delete %s: want 0 or whole seconds", f.autoDelete)
	case f.ledger == "":
		return usagef("there is no place for the ledger of what is made: set XDG_STATE_HOME or HOME, or give --ledger")
	}
	return nil
}

// config is how a stack given by URL is reached.
func (f *stackFlags) config() live.Config {
	return live.Config{URL: f.stack, Key: f.apiKey(), OtherKey: f.otherAPIKey(), Prefix: f.prefix, Host: f.host, Image: f.image,
		Caps:     live.Caps{Boxes: f.boxes, CreatesPerMinute: f.creates, OutputBytes: int64(f.outputMiB) << 20},
		Lifetime: live.Lifetime{AutoStop: f.autoStop, AutoDelete: f.autoDelete}, Ledger: f.ledger, Journal: f.journal, Control: f.control}
}

// sayOrigin says which stack is worked on where no flag says so, and what is wrong with the credentials.
func (f *stackFlags) sayOrigin() {
	if f.tell == nil {
		return
	}
	if f.stack != "embedded" && f.origin != "--stack" {
		fmt.Fprintf(f.tell, "chaos: stack %s, from %s\n", f.stack, f.origin)
	}
	if f.warning != "" {
		fmt.Fprintln(f.tell, "chaos: warning: "+f.warning)
	}
	f.tell = nil // once is enough
}
