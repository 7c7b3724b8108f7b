//go:build linux

package embedded

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// requireClient makes a failure of what would skip the test of the published client.
	requireClient = "CHAOS_REQUIRE_CLIENT"

	installTime = 3 * time.Minute // a first download is 30 MB
	checksTime  = 90 * time.Second
)

// clientChecks are the checks of client.mjs, so that none can get lost.
var clientChecks = []string{
	"create", "get info", "list info", "path prefix", "get or create", "duplicate name", "invalid size",
	"unknown box", "wrong key", "second tenant",
	"short commands", "commands at once", "standard error", "exit codes", "environment and directory",
	"standard input", "large output", "terminal", "no terminal", "signal", "forbidden signal", "kill",
	"time limit", "missing command", "metrics", "simple box",
	"stop", "stop again", "command on stopped box", "metrics of stopped box", "start", "remove",
	"command on removed box", "name again",
}

// clientCheck is a line of client.mjs.
type clientCheck struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// TestPublishedClient drives the stack with the client that BoxLite publishes: what its users would
// meet here is what they meet at BoxLite.
func TestPublishedClient(t *testing.T) {
	dir := installClient(t)
	s := begin(t, Options{})
	checks := runClient(t, s, dir)
	for _, name := range clientChecks {
		t.Run(name, func(t *testing.T) {
			check, ran := checks[name]
			delete(checks, name)
			require.True(t, ran, "the check did not run")
			require.True(t, check.OK, check.Detail)
			t.Log(check.Detail)
		})
	}
	require.Empty(t, checks, "checks that are not in the table")
}

// noClient ends the test because of what the machine lacks.
func noClient(t *testing.T, format string, args ...any) {
	t.Helper()
	why := fmt.Sprintf(format, args...)
	if os.Getenv(requireClient) == "1" {
		t.Fatalf("%s=1, but %s", requireClient, why)
	}
	t.Skipf("THE PUBLISHED CLIENT IS NOT TESTED: %s (%s=1 makes this a failure)", why, requireClient)
}

// installClient returns a directory with client.mjs and what it needs.
func installClient(t *testing.T) string {
	t.Helper()
	var missing []string
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing = append(missing, tool)
		}
	}
	if len(missing) > 0 {
		noClient(t, "there is no %s", strings.Join(missing, " and no "))
	}
	if runtime.GOARCH != "amd64" {
		noClient(t, "it is published for amd64 only")
	}
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "client"))))
	ctx, cancel := context.WithTimeout(t.Context(), installTime)
	defer cancel()
	// Not ci: it wants the builds for all machines in the lock, and not all are published. The
	// checksums in the lock count anyway.
	cmd := exec.CommandContext(ctx, "npm", "install", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil && (ctx.Err() != nil || unreachable.Match(out)) {
		noClient(t, "npm cannot fetch it: %v\n%s", err, out)
	}
	if err != nil && bytes.Contains(out, []byte("EBADPLATFORM")) { // no glibc
		noClient(t, "it is not published for this system: %s", out)
	}
	require.NoError(t, err, "npm install: %s", out)
	return dir
}

// unreachable is what npm says when there is no network. Everything else is worth a failure.
var unreachable = regexp.MustCompile(`\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT|ERR_SOCKET_TIMEOUT|ENOTCACHED)\b`)

// runClient runs client.mjs against s and returns its checks by name.
func runClient(t *testing.T, s *Stack, dir string) map[string]clientCheck {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), checksTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "client.mjs")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(),
		"CHAOS_URL="+s.URL(), "CHAOS_KEY="+s.Key(), "CHAOS_OTHER_KEY="+s.OtherKey(), "CHAOS_PREFIX="+Org,
		"NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1",
	)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	if err != nil || stderr.Len() > 0 { // the checks that are missing then say the rest
		t.Logf("node: %v %v\n%s", err, ctx.Err(), &stderr)
	}
	checks := map[string]clientCheck{}
	for lines := bufio.NewScanner(bytes.NewReader(stdout)); lines.Scan(); {
		var c clientCheck
		require.NoError(t, json.Unmarshal(lines.Bytes(), &c), lines.Text())
		require.NotContains(t, checks, c.Name)
		checks[c.Name] = c
	}
	return checks
}
