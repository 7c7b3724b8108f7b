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

// settings are what the compiler noted, by name.
func settings(info *debug.BuildInfo) map[string]string {
	set := map[string]string{}
	for _, s := range info.Settings {
		set[s.Key] = s.Value
	}
	return set
}

// commitOf is the commit of a build as a table shows it, with a plus for changes that are not committed.
func commitOf(info *debug.BuildInfo) string {
	set := settings(info)
	rev := set["vcs.revision"]
	if rev == "" {
		return "?"
	}
	rev = rev[:min(7, len(rev))]
	if set["vcs.modified"] == "true" {
		rev += "+"
	}
	return rev
}

func versionOf(info *debug.BuildInfo) string {
	set := settings(info)
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
