package main

import (
	"io"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// callAPI: "api METHOD PATH [BODY]" sends a request to the stack at URL with KEY, as somebody else than
// chaos does; the answer is the last stdout.
func callAPI(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: api METHOD PATH [BODY]")
	}
	req, err := http.NewRequest(args[0], ts.Getenv("URL")+"/v1"+args[1], strings.NewReader(strings.Join(args[2:], "")))
	ts.Check(err)
	req.Header.Set("Authorization", "Bearer "+ts.Getenv("KEY"))
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	ts.Check(err)
	if res.StatusCode/100 != 2 {
		ts.Fatalf("%s %s: %d %s", args[0], args[1], res.StatusCode, body)
	}
	_, err = ts.Stdout().Write(body)
	ts.Check(err)
}

// killed: "killed TIMES program args…" starts a program so often and kills it with SIGKILL, each time
// after another while.
func killed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: killed TIMES program args…")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	path, err := exec.LookPath(args[1])
	ts.Check(err)
	for range n {
		cmd := exec.Command(path, args[2:]...)
		cmd.Dir = ts.MkAbs(".")
		for _, k := range []string{"PATH", "HOME", "TMPDIR", "BOXLITE_API_KEY", "XDG_STATE_HOME"} {
			cmd.Env = append(cmd.Env, k+"="+ts.Getenv(k))
		}
		ts.Check(cmd.Start())
		after := 100*time.Millisecond + time.Duration(rand.Int64N(int64(1500*time.Millisecond)))
		kill := time.AfterFunc(after, func() { _ = cmd.Process.Kill() }) // an error means that it has ended
		_ = cmd.Wait()                                                   // it was killed
		kill.Stop()
		ts.Logf("killed after %s", after)
	}
}
