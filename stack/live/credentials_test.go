package live_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/stack/live"
)

const goodCredentials = `# written by boxlite auth login
[profiles.p1]
url = "http://localhost:3000/api"
auth_method = "api_key"
api_key = "blk_live_CANARY"
path_prefix = "org-1"

[profiles.default]
url = "https://api.example.com"
auth_method = "oidc"
access_token = "CANARY-token"
expires_at = 2026-01-01T00:00:00Z
`

func TestParseCredentials_ReadsProfiles(t *testing.T) {
	c, err := live.ParseCredentials(goodCredentials)
	require.NoError(t, err)
	require.Len(t, c, 2)
	require.Equal(t, live.Credential{URL: "http://localhost:3000/api", Auth: "api_key", Key: "blk_live_CANARY", Prefix: "org-1"}, c["p1"])
	require.Equal(t, "blk_live_CANARY", c["p1"].Bearer())
	require.Equal(t, "CANARY-token", c["default"].Bearer())
	c, err = live.ParseCredentials("")
	require.NoError(t, err)
	require.Empty(t, c)
}

func TestReadCredentials_AMistakeNamesFileAndLineAndNoValue(t *testing.T) {
	for text, want := range map[string]string{
		"[profiles.p1]\nurl = \"http://localhost\"\napi_key = CANARY\n":                              ":3: this is no TOML; ",
		"[profiles.p1\napi_key = \"CANARY\"\n":                                                       ":2: this is no TOML; ",
		"[profiles.p1]\napi_key = \"CANARY\n":                                                        ":2: this is no TOML; ",
		"[profiles.p1]\napi_key = \"CANARY\"\napi_key = \"CANARY\"\n":                                ":3: this is there twice; ",
		"[profiles.p1]\nurl = 7 # CANARY\n":                                                          ":2: url of profile \"p1\": want text in quotes",
		"[profiles.p1]\n\nauth_method = \"CANARY\"\n":                                                ":3: auth_method of profile \"p1\": want ",
		"[profiles.p1]\nauth_method = \"api_key\"\napi_key = \"CANARY\"\nurl = \"http://x/api/v1/\"": ":4: url of profile \"p1\": leave /v1 off",
		"profiles = \"CANARY\"\n":                                                                    " wrong type; ",
		"[profiles.p1]\napi_key = [\"CANARY\"]\n":                                                    ":2: api_key of profile \"p1\": want text in quotes",
		"\x00CANARY": ":1: this is no TOML; ",
	} {
		path := filepath.Join(t.TempDir(), "credentials.toml")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, warning, err := live.ReadCredentials(path)
		require.True(t, live.IsConfig(err), "%q: %v", text, err)
		require.Contains(t, err.Error(), want, "%q", text)
		require.True(t, strings.HasPrefix(err.Error(), path+":"), err.Error())
		require.NotContains(t, err.Error(), "CANARY")
		require.NotContains(t, err.Error(), "\n")
		require.Empty(t, warning)
	}
}

func TestReadCredentials_WarnsWhenOthersCanReadIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credentials.toml")
	require.NoError(t, os.WriteFile(path, []byte(goodCredentials), 0o600))
	require.NoError(t, os.Chmod(path, 0o644))
	c, warning, err := live.ReadCredentials(path)
	require.NoError(t, err)
	require.Len(t, c, 2)
	require.Equal(t, path+" holds keys and others may read it (mode 0644): chmod 600 "+path, warning)
	_, _, err = live.ReadCredentials(filepath.Dir(path))
	require.True(t, live.IsConfig(err), "%v", err)
	_, _, err = live.ReadCredentials(path + "-none")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestCredentialsPath_BoxliteHomeCountsOnlyWhenAbsolute(t *testing.T) {
	require.Equal(t, "/b/credentials.toml", live.CredentialsPath("/b", "/home/u"))
	require.Equal(t, "/home/u/.boxlite/credentials.toml", live.CredentialsPath("b", "/home/u"))
	require.Equal(t, "/home/u/.boxlite/credentials.toml", live.CredentialsPath("", "/home/u"))
	require.Empty(t, live.CredentialsPath("", ""))
}

func FuzzParseCredentials(f *testing.F) {
	f.Add(goodCredentials)
	f.Add("")
	f.Add("profiles = 1")
	f.Add("[profiles]\np1 = { url = \"x\" }")
	f.Add("[[profiles]]\n")
	f.Fuzz(func(t *testing.T, text string) {
		const canary = "blk_live_CANARY"
		text = strings.ReplaceAll(text, canary, "")
		_, err := live.ParseCredentials(text + "\n" + canary + "\n[profiles.p1]\napi_key = 'x' " + canary)
		if err == nil || strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), "\n") {
			t.Fatalf("%q: %v", text, err)
		}
	})
}
