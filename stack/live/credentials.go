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
	URL    string `toml:"url"`         // base without /v1
	Auth   string `toml:"auth_method"` // "api_key" or "oidc", "" = whichever is there
	Key    string `toml:"api_key"`
	Prefix string `toml:"path_prefix"` // "" = what /v1/me says
	Token  string `toml:"access_token"`
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

// ParseCredentials reads the text of a credentials.toml.
func ParseCredentials(text string) (Credentials, error) {
	var file struct {
		Profiles Credentials `toml:"profiles"`
	}
	meta, err := toml.Decode(text, &file)
	if err != nil {
		return nil, tomlMistake(text, err)
	}
	if kind := meta.Type("profiles"); meta.IsDefined("profiles") && kind != "Hash" { // which the library lets pass
		return nil, &credentialsError{0, "profiles has the wrong type; want tables like [profiles.default]"}
	}
	for _, name := range slices.Sorted(maps.Keys(file.Profiles)) {
		p := file.Profiles[name]
		switch {
		case p.Auth != "" && p.Auth != "api_key" && p.Auth != "oidc":
			return nil, &credentialsError{lineOf(text, name, "auth_method"), fmt.Sprintf("auth_method of profile %q is neither \"api_key\" nor \"oidc\"", name)}
		case strings.HasSuffix(strings.TrimRight(p.URL, "/"), "/v1"):
			return nil, &credentialsError{lineOf(text, name, "url"), fmt.Sprintf("url of profile %q: leave /v1 off", name)}
		}
	}
	return file.Profiles, nil
}

// tomlMistake words an error of the library, which may quote the file, without doing so.
func tomlMistake(text string, err error) error {
	line, what := 0, "this is no TOML; a value is written as key = \"value\" and a table as [profiles.NAME]"
	var p toml.ParseError
	if errors.As(err, &p) {
		line = p.Position.Line
		if strings.Contains(p.Message, "incompatible types") {
			what = "this value has the wrong type; want text in quotes, like url = \"http://127.0.0.1:3000/api\""
		}
		if strings.Contains(p.Message, "already been defined") || strings.Contains(p.Message, "duplicate") {
			what = "this is there twice; leave one out"
		}
	} else if strings.Contains(err.Error(), "incompatible types") || strings.Contains(err.Error(), "type mismatch") {
		what = "a value has the wrong type; want tables like [profiles.NAME] with text in quotes"
	}
	return &credentialsError{min(line, strings.Count(text, "\n")+1), what}
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
