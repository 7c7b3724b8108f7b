package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"chaos/actions"
	"chaos/cmd/internal/report"
	"chaos/corpus"
)

func (a *app) serveCmd() *cobra.Command {
	var addr string
	var s site
	cmd := &cobra.Command{
		Use: "serve", Short: "Look at all runs and cases in a browser", Args: argCount(0, 0, ""),
		Long: `serve shows the runs below a folder and the cases of a corpus as pages, to this machine only, until
Ctrl-C.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context(), addr, &s) },
	}
	cmd.Flags().StringVar(&addr, "addr", "127.0.0.1:0", "where to listen, on loopback; port 0 takes a free one")
	cmd.Flags().StringVar(&s.out, "out", defaultOut, "folder with run folders")
	cmd.Flags().StringVar(&s.corpus, "corpus", defaultCorpus, "folder of cases")
	return cmd
}

// loopback reports whether host, without a port, is this machine for sure.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func (a *app) serve(ctx context.Context, addr string, s *site) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return usagef("--addr %s: want a loopback address and a port, like 127.0.0.1:8080", addr)
	}
	if !loopback(host) {
		return usagef("--addr %s is not loopback, and pages are for this machine only; give 127.0.0.1:%s", addr, port)
	}
	if host == "localhost" {
		addr = net.JoinHostPort("127.0.0.1", port) // whatever the resolver says
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return usagef("--addr: %v", err)
	}
	server := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-ctx.Done()
		_ = server.Close()
	}()
	fmt.Fprintf(a.err, "chaos: serving %s and %s at http://%s (Ctrl-C ends it)\n", quote(s.out), quote(s.corpus), l.Addr())
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-stopped
	return nil
}

// site shows the runs and the cases of two folders.
type site struct{ out, corpus string }

func (s *site) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		send(w)(s.index().HTML())
	})
	mux.HandleFunc("GET /run/{name}", func(w http.ResponseWriter, q *http.Request) {
		name := q.PathValue("name")
		if !slices.Contains(s.runs(), name) {
			http.NotFound(w, q)
			return
		}
		p, err := runPage(filepath.Join(s.out, name))
		if err != nil {
			send(w)(nil, err)
			return
		}
		send(w)(p.HTML("/"))
	})
	mux.HandleFunc("GET /case/{name}", func(w http.ResponseWriter, q *http.Request) {
		cases, _, _ := corpus.LoadDir(s.corpus, actions.Vocabulary{})
		i := slices.IndexFunc(cases, func(c *corpus.Case) bool { return c.Name == q.PathValue("name") })
		if i < 0 {
			http.NotFound(w, q)
			return
		}
		send(w)(report.CaseHTML(cases[i], s.replay(cases[i])))
	})
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		// A page of another site may have given its name this address.
		host, _, err := net.SplitHostPort(q.Host)
		if err != nil {
			host = strings.Trim(q.Host, "[]")
		}
		if !loopback(host) {
			http.Error(w, "this is only for this machine", http.StatusForbidden)
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		mux.ServeHTTP(w, q)
	})
}

// send returns what writes a page, or the error of making it.
func send(w http.ResponseWriter) func(page []byte, err error) {
	return func(page []byte, err error) {
		if err != nil {
			http.Error(w, "chaos: "+oneLine(err), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(page)
	}
}

// runs returns the names of the run folders, the latest first.
func (s *site) runs() []string {
	entries, _ := os.ReadDir(s.out)
	var out []string
	for _, e := range entries {
		if _, err := os.Lstat(filepath.Join(s.out, e.Name(), "run.json")); err == nil && e.IsDir() {
			out = append(out, e.Name())
		}
	}
	slices.Reverse(out)
	return out
}

func (s *site) index() *report.Index {
	i := &report.Index{Out: s.out, Corpus: s.corpus}
	for _, name := range s.runs() {
		run := report.IndexRun{Name: name, Result: "no summary: it was killed, or is going on"}
		p, err := report.LoadPage(filepath.Join(s.out, name))
		switch {
		case err == nil:
			run.Stack, run.Result = p.Stack, p.Claim
		case !errors.Is(err, fs.ErrNotExist):
			run.Result = oneLine(err)
		}
		i.Runs = append(i.Runs, run)
	}
	cases, broken, err := corpus.LoadDir(s.corpus, actions.Vocabulary{})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		broken = append(broken, err)
	}
	for _, c := range cases {
		i.Cases = append(i.Cases, report.NewIndexCase(c))
	}
	for _, b := range broken {
		i.Broken = append(i.Broken, oneLine(b))
	}
	return i
}

// replay is what to type to see c fail again.
func (s *site) replay(c *corpus.Case) string {
	f := runFlags{corpus: s.corpus}
	f.stack, f.bugs = "embedded", strings.Join(c.Bugs, ",")
	return f.replayCommand(c.Name)
}
