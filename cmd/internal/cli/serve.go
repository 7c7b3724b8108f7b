package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"chaos/cmd/internal/report"
)

func (a *app) serveCmd() *cobra.Command {
	var addr, out, cases string
	cmd := &cobra.Command{
		Use: "serve", Short: "Browse all runs and cases, on this machine only", Args: argCount(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context(), addr, out, cases) },
	}
	cmd.Flags().StringVar(&addr, "addr", "127.0.0.1:0", "loopback address to listen on; port 0 is any that is free")
	cmd.Flags().StringVar(&out, "out", defaultOut, "folder of run folders")
	cmd.Flags().StringVar(&cases, "corpus", defaultCorpus, "folder of cases")
	return cmd
}

// closeLimit is how long requests under way may take when the server ends.
const closeLimit = 2 * time.Second

func (a *app) serve(ctx context.Context, addr, out, cases string) error {
	host, _, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return usagef("--addr %s: want a loopback address with a port, like 127.0.0.1:8123; what runs found is nobody else's business", addr)
	}
	if info, err := os.Stat(out); err == nil && !info.IsDir() {
		return usagef("--out: %s is no folder", out)
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return usagef("--addr: %v", err)
	}
	fmt.Fprintf(a.out, "http://%s  (Ctrl-C ends it)\n", ln.Addr())
	s := &http.Server{Handler: report.Browse(out, cases, ln.Addr().String()), ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() {
		bounded, cancel := context.WithTimeout(context.Background(), closeLimit)
		defer cancel()
		_ = s.Shutdown(bounded)
	})()
	if err := s.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
