package model

import (
	"fmt"
	"slices"
	"strings"
)

// FlagSpec describes one point on which servers of the same kind differ from version to version.
type FlagSpec struct {
	Name   string
	Doc    string
	Values []string
}

// The flags of a contract.
const (
	FlagExecOnStopped = "exec-on-stopped"
	FlagAfterCreate   = "after-create"
	FlagStop          = "stop"
)

// Values of the flags.
const (
	Reject     = "reject"
	Autostart  = "autostart"
	Async      = "async"
	Sync       = "sync"
	IsRunning  = "running"
	Configured = "configured"
)

// FlagSpecs lists every flag, in the order in which contracts print them.
func FlagSpecs() []FlagSpec {
	return []FlagSpec{
		{FlagExecOnStopped, "an exec on a stopped box is refused (#684) or starts the box (#861)", []string{Reject, Autostart}},
		{FlagAfterCreate, "a created box runs, or is configured and boots at the first start or exec", []string{IsRunning, Configured}},
		{FlagStop, "a stop is answered when it is accepted, or when the box has stopped", []string{Async, Sync}},
	}
}

// Flags are the values of the flags of one contract, by name.
type Flags map[string]string

// String is "name=value,…" in the order of FlagSpecs; ParseFlags reads it back.
func (f Flags) String() string {
	var out []string
	for _, s := range FlagSpecs() {
		if v := f[s.Name]; v != "" {
			out = append(out, s.Name+"="+v)
		}
	}
	return strings.Join(out, ",")
}

// ParseFlags reads "name=value,…", each name once. An empty text gives no flags. The error names the flag and what
// it may be.
func ParseFlags(text string) (Flags, error) {
	out := Flags{}
	for pair := range strings.SplitSeq(text, ",") {
		pair = strings.TrimSpace(pair)
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		i := slices.IndexFunc(FlagSpecs(), func(s FlagSpec) bool { return s.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("no contract flag is called %q; want %s", name, flagHelp())
		}
		if s := FlagSpecs()[i]; !slices.Contains(s.Values, value) {
			return nil, fmt.Errorf("contract flag %s cannot be %q; want %s", name, value, strings.Join(s.Values, " or "))
		}
		if _, dup := out[name]; dup {
			return nil, fmt.Errorf("contract flag %s is given twice", name)
		}
		out[name] = value
	}
	if len(out) == 0 && strings.TrimSpace(text) != "" {
		return nil, fmt.Errorf("no contract flag is named in %q; want %s", text, flagHelp())
	}
	return out, nil
}

func flagHelp() string {
	var out []string
	for _, s := range FlagSpecs() {
		out = append(out, s.Name+"="+strings.Join(s.Values, "|"))
	}
	return strings.Join(out, ", ")
}

// with returns f changed by other.
func (f Flags) with(other Flags) Flags {
	out := Flags{}
	for k, v := range f {
		out[k] = v
	}
	for k, v := range other {
		out[k] = v
	}
	return out
}
