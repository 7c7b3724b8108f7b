package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"chaos/corpus"
	"chaos/model"
	"chaos/stack/embedded"
	"chaos/stack/embedded/bugs"
)

// auto stands for the profile that the stack turns out to have.
const auto = "auto"

// contractFlags say by which contract a stack is judged; the embedded stack also behaves by it.
type contractFlags struct {
	profile  string // "" = cloud, or what a case or a seeded bug asks for
	contract string
}

func (f *contractFlags) addContract(fl *pflag.FlagSet) {
	fl.Var((*named)(&f.profile), "profile", "kind of server: "+strings.Join(append(model.Profiles(), auto), ", ")+"; the embedded stack plays cloud or serve (default cloud)")
	fl.StringVar(&f.contract, "contract", "", "where the contract differs from the profile's own, as name=value,…: "+contractHelp())
}

// named is the value of a flag that may be left out, but not be empty.
type named string

// String implements pflag.Value.
func (n *named) String() string { return string(*n) }

// Type implements pflag.Value.
func (n *named) Type() string { return "string" }

// Set implements pflag.Value.
func (n *named) Set(text string) error {
	if text == "" {
		return errors.New("name one, or leave the flag out")
	}
	*n = named(text)
	return nil
}

func contractHelp() string {
	var out []string
	for _, s := range model.FlagSpecs() {
		out = append(out, s.Name+"="+strings.Join(s.Values, "|"))
	}
	return strings.Join(out, ", ")
}

// given reports whether the user has asked for a contract.
func (f *contractFlags) given() bool { return f.profile != "" || f.contract != "" }

// resolve returns the contract that is asked for; on the embedded stack it is one that it can play.
// auto counts as cloud.
func (f *contractFlags) resolve(onEmbedded bool, set bugs.Set) (model.Contract, error) {
	profile := f.profile
	if profile == "" || profile == auto {
		profile = "cloud"
	}
	flags, err := model.ParseFlags(f.contract)
	if err != nil {
		return model.Contract{}, usagef("--contract: %v", err)
	}
	c, ok := model.Lookup(profile, flags)
	if !ok {
		return c, usagef("--profile %q: want %s or %s", f.profile, strings.Join(model.Profiles(), ", "), auto)
	}
	if !onEmbedded {
		return c, nil
	}
	if f.contract == "" {
		if flags, err = bugs.Contract(set); err != nil {
			return c, usagef("--bug: %v", err)
		}
	}
	c, err = embedded.Options{Profile: profile, Flags: flags}.Contract()
	switch {
	case err != nil && f.contract == "":
		return c, usagef("--profile %s: %v", profile, err)
	case err != nil:
		return c, usagef("--contract: %v", err)
	}
	return c, nil
}

// forCase returns f with the contract that c was found under, unless the user has asked for one, and
// with the scheduler and the faults that its plan needs.
func (f stackFlags) forCase(c *corpus.Case) stackFlags {
	f.schedule = f.schedule || c.Plan.Scheduled()
	f.broken = strings.Join(faultsIn(c.Plan), ",")
	if f.stack == "embedded" && !f.given() {
		f.profile, f.contract = c.Profile, c.Flags
	}
	return f
}

// contractWords are the flags that name a contract.
func contractWords(c model.Contract) []string {
	var out []string
	if c.Profile != "cloud" {
		out = append(out, "--profile", c.Profile)
	}
	if flags := c.Changed().String(); flags != "" {
		out = append(out, "--contract", flags)
	}
	return out
}

// cannotShow says which of the bugs need another contract than the one that was chosen, or a schedule
// or faults that are not given.
func cannotShow(set bugs.Set, contract model.Contract, given []string) []string {
	var out []string
	for _, b := range bugs.All() {
		if set.Has(b.ID) && b.Needs != "" && !slices.Contains(given, b.Needs) {
			out = append(out, fmt.Sprintf("%s does not show here: it needs %s", b.ID, needs(b)))
		}
		flags, err := model.ParseFlags(b.Contract)
		if !set.Has(b.ID) || err != nil {
			continue
		}
		for name, value := range flags {
			if contract.Flags[name] != value {
				out = append(out, fmt.Sprintf("%s does not show here: it needs %s=%s", b.ID, name, value))
			}
		}
	}
	return out
}
