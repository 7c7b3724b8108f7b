package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// serve: "serve KIND" starts a stack that says who we are and is of no use otherwise, and sets URL:
// one that answers nothing ("silent"), not even who we are ("mute"), and makes the file asked when it
// does not, whose errors hold what must not reach a terminal ("forging"), that sends more answers than
// it was asked for ("rude"), that agrees to everything ("empty"), also to who we are ("nobody"), or
// that is full ("full").
func serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: serve KIND")
	}
	over, asked := make(chan struct{}), ts.MkAbs("asked")
	wait := func(http.ResponseWriter, *http.Request) {
		_ = os.WriteFile(asked, nil, 0o600)
		<-over
	}
	rest, ok := map[string]http.HandlerFunc{"silent": wait, "mute": wait, "forging": forge, "rude": babble,
		"empty": answers(http.StatusOK, "{}"), "nobody": answers(http.StatusOK, "{}"), "full": answers(http.StatusTooManyRequests, "")}[args[0]]
	if !ok {
		ts.Fatalf("no such stack: %s", args[0])
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if strings.HasSuffix(q.URL.Path, "/v1/me") && args[0] != "mute" && args[0] != "nobody" {
			_, _ = io.WriteString(w, `{"sub":"key:o","principal_type":"api_key"}`)
			return
		}
		rest(w, q)
	}))
	ts.Setenv("URL", s.URL)
	ts.Defer(func() {
		close(over)
		s.CloseClientConnections()
		s.Close()
	})
}

func forge(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = io.WriteString(w, `{"error":"\u001b[2J\u001b[1;1H\u009b2J\r\n  result   no findings\n`+"\x1b[2J\x9b2J"+`","error_code":"\u001b]0;x\u0007"}`)
}

// answers says the same to everything.
func answers(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// babble answers twice and keeps the connection open until the caller is done with it.
func babble(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	_, _ = io.Copy(io.Discard, conn)
	_ = conn.Close()
}

// fifo: "fifo PATH" makes a pipe that nobody writes into.
func fifo(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: fifo PATH")
	}
	ts.Check(syscall.Mkfifo(ts.MkAbs(args[0]), 0o600))
}
