package cli

import (
	"runtime/debug"
	"strings"
)

// version says which build this is, as far as the compiler noted it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "of an unknown build"
	}
	return versionOf(info)
}

func versionOf(info *debug.BuildInfo) string {
	set := map[string]string{}
	for _, s := range info.Settings {
		set[s.Key] = s.Value
	}
	out := []string{"development build"}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		out[0] = v
	}
	if rev := set["vcs.revision"]; rev != "" {
		if set["vcs.modified"] == "true" {
			rev += " and uncommitted changes"
		}
		out = append(out, "commit "+rev)
	}
	if tags := set["-tags"]; tags != "" {
		out = append(out, "tags "+tags)
	}
	return strings.Join(append(out, info.GoVersion), " · ")
}

// shortVersion is the commit of this build in a table, with a plus for changes that are not committed.
func shortVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "?"
	}
	rev, plus := "?", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 7:
			rev = s.Value[:7]
		case s.Key == "vcs.modified" && s.Value == "true":
			plus = "+"
		}
	}
	return rev + plus
}
