package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
)

// notified is what systemd would have been told.
type notified struct{ buffer }

type notifiedKey struct{}

// notify: "notify" does what systemd does for a service of Type=notify: it sets NOTIFY_SOCKET to a socket
// and listens there, and asks for a sign of life every second.
func notify(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: notify")
	}
	path := filepath.Join(ts.Getenv("WORK"), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	ts.Check(err)
	ts.Defer(func() { conn.Close() })
	heard := ts.Value(notifiedKey{}).(*notified)
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			_, _ = heard.Write(append(bytes.Clone(buf[:n]), '\n')) // into memory
		}
	}()
	ts.Setenv("NOTIFY_SOCKET", path)
	ts.Setenv("WATCHDOG_USEC", "1000000")
}

// awaitNotify: "awaitnotify PATTERN" waits until systemd has been told this.
func awaitNotify(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: awaitnotify PATTERN")
	}
	re, heard := compile(ts, args[0]), ts.Value(notifiedKey{}).(*notified)
	require.Eventually(ts.Value(testKey{}).(testing.TB), func() bool { return re.MatchString(heard.String()) }, patience, 20*time.Millisecond, "no %s", args[0])
}

var metricsAt = regexp.MustCompile(`metrics: (http://\S+)`)

// scrape: "scrape" reads the metrics of the program begun; they are the last stdout.
func scrape(ts *testscript.TestScript, neg bool, args []string) {
	m := metricsAt.FindStringSubmatch(ts.Value(backgroundKey{}).(*background).stderr.String())
	if neg || len(args) != 0 || m == nil {
		ts.Fatalf("usage: scrape, when the program has said where its metrics are")
	}
	res, err := http.Get(m[1])
	ts.Check(err)
	defer res.Body.Close()
	var text strings.Builder
	_, err = io.Copy(&text, res.Body)
	ts.Check(err)
	_, err = io.WriteString(ts.Stdout(), text.String())
	ts.Check(err)
}
