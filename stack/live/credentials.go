package live

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// Credentials are the profiles of a credentials.toml, by name.
type Credentials map[string]Credential

// Credential is how to get at one stack.
type Credential struct {
	URL    string // base without /v1
	Auth   string // "api_key" or "oidc", "" = whichever is there
	Key    string
	Prefix string // "" = what /v1/me says
	Token  string
}

// Bearer is the token that is sent.
func (c Credential) Bearer() string {
	if c.Auth == "oidc" || c.Auth == "" && c.Key == "" {
		return c.Token
	}
	return c.Key
}

// CredentialsPath is where the file is: in home, the value of BOXLITE_HOME, if that is an absolute path,
// and else in .boxlite of the user's own folder.
func CredentialsPath(home, userHome string) string {
	if filepath.IsAbs(home) {
		return filepath.Join(home, "credentials.toml")
	}
	if userHome == "" {
		return ""
	}
	return filepath.Join(userHome, ".boxlite", "credentials.toml")
}

// maxCredentials bounds the file: what is larger is none.
const maxCredentials = 1 << 20

// ReadCredentials reads the file at path. A mistake in it is a ConfigError that names file, line and mend
// and repeats nothing of the file's values. warning tells of a file that others can read.
func ReadCredentials(path string) (c Credentials, warning string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, "", err
	}
	if !info.Mode().IsRegular() {
		return nil, "", &ConfigError{path + " is no regular file; it should be one with a table like [profiles.default]"}
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		warning = fmt.Sprintf("%s holds keys and others may read it (mode %#o): chmod 600 %s", path, mode, path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxCredentials+1))
	if err != nil {
		return nil, warning, err
	}
	if len(text) > maxCredentials {
		return nil, warning, &ConfigError{path + " is larger than any file of credentials"}
	}
	c, err = ParseCredentials(string(text))
	var mistake *credentialsError
	if errors.As(err, &mistake) {
		return nil, warning, &ConfigError{path + mistake.Error()}
	}
	return c, warning, err
}

// credentialsError is a mistake in the text of a file.
type credentialsError struct {
	line int // 0 = not known
	text string
}

func (e *credentialsError) Error() string {
	if e.line > 0 {
		return fmt.Sprintf(":%d: %s", e.line, e.text)
	}
	return ": " + e.text
}

// ParseCredentials reads the text of a credentials.toml. Keys that it does not know are left alone.
func ParseCredentials(text string) (Credentials, error) {
	var file struct {
		Profiles any `toml:"profiles"`
	}
	if _, err := toml.Decode(text, &file); err != nil {
		return nil, tomlMistake(text, err)
	}
	tables, ok := file.Profiles.(map[string]any)
	if !ok && file.Profiles != nil {
		return nil, &credentialsError{0, "profiles has the wrong type; want tables like [profiles.default]"}
	}
	out := Credentials{}
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		table, ok := tables[name].(map[string]any)
		if !ok {
			return nil, &credentialsError{0, fmt.Sprintf("profile %q is no table; write [profiles.%s]", name, name)}
		}
		c, key, err := credential(table)
		if err != "" {
			return nil, &credentialsError{lineOf(text, name, key), fmt.Sprintf("%s of profile %q: %s", key, name, err)}
		}
		out[name] = c
	}
	return out, nil
}

// credential reads one table. mistake says what is wrong with key, "" = nothing.
func credential(table map[string]any) (c Credential, key, mistake string) {
	for key, to := range map[string]*string{"url": &c.URL, "auth_method": &c.Auth, "api_key": &c.Key, "path_prefix": &c.Prefix, "access_token": &c.Token} {
		value, ok := table[key].(string)
		if !ok && table[key] != nil {
			return c, key, "want text in quotes"
		}
		*to = value
	}
	switch {
	case c.Auth != "" && c.Auth != "api_key" && c.Auth != "oidc":
		return c, "auth_method", "want \"api_key\" or \"oidc\""
	case strings.HasSuffix(strings.TrimRight(c.URL, "/"), "/v1"):
		return c, "url", "leave /v1 off"
	}
	return c, "", ""
}

// tomlMistake words an error of the library, which may quote the file, without doing so.
func tomlMistake(text string, err error) error {
	line, what := 0, "this is no TOML; a value is written as key = \"value\" and a table as [profiles.NAME]"
	var p toml.ParseError
	if errors.As(err, &p) {
		line = min(p.Position.Line, strings.Count(text, "\n")+1)
		if strings.Contains(p.Message, "already been defined") || strings.Contains(p.Message, "duplicate") {
			what = "this is there twice; leave one out"
		}
	}
	return &credentialsError{line, what}
}

// lineOf finds the line of a key in the table of a profile, 0 if it is written in some other way.
func lineOf(text, profile, key string) int {
	in := false
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			in = strings.HasPrefix(line, "[profiles."+profile+"]") || strings.HasPrefix(line, "[profiles.\""+profile+"\"]")
		}
		if in && strings.HasPrefix(line, key) {
			return n
		}
	}
	return 0
}
