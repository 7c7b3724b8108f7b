package cli

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/cmd/internal/report"
)

func get(s *site, host, target string) *httptest.ResponseRecorder {
	q := httptest.NewRequest(http.MethodGet, target, nil)
	q.Host = host
	w := httptest.NewRecorder()
	s.handler().ServeHTTP(w, q)
	return w
}

func TestSite_ShowsOnlyWhatIsInItsFolders(t *testing.T) {
	dir := t.TempDir()
	s := &site{out: filepath.Join(dir, "out"), corpus: filepath.Join(dir, "corpus")}
	for _, run := range []string{"out/r1", "secret"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, run), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, run, "run.json"), []byte("{}"), 0o644))
		require.NoError(t, report.SavePage(filepath.Join(dir, run), &report.Page{Claim: "claim of " + run}))
	}
	require.Contains(t, get(s, "127.0.0.1:80", "/").Body.String(), "claim of out/r1")
	require.Contains(t, get(s, "localhost:80", "/run/r1").Body.String(), "claim of out/r1")
	for _, target := range []string{"/run/..%2Fsecret", "/run/%2E%2E", "/run/r1%2F..%2F..%2Fsecret", "/run/../secret", "/run/r1/run.json", "/case/..%2Fsecret", "/case/none", "/secret", "/run/"} {
		w := get(s, "127.0.0.1:80", target)
		require.NotEqual(t, http.StatusOK, w.Code, target)
		require.NotContains(t, w.Body.String(), "claim of secret", target)
	}
	require.Equal(t, http.StatusForbidden, get(s, "evil.example:80", "/").Code, "the name of another site")
}

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{"127.0.0.1": true, "127.9.9.9": true, "::1": true, "localhost": true,
		"0.0.0.0": false, "": false, "::": false, "10.0.0.1": false, "example.com": false, "localhost.example.com": false} {
		require.Equal(t, want, loopback(host), host)
	}
}
