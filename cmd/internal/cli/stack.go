package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"chaos/stack/embedded"
	"chaos/stack/embedded/bugs"
)

func (a *app) stackCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "stack", Short: "Start a stack, look at one, or clean up on one", Args: noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	var list string
	var contract contractFlags
	var delay string
	var asJSON bool
	up := &cobra.Command{
		Use: "up", Short: "Start the embedded stack and keep it until Ctrl-C", Args: argCount(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := bugs.Parse(list)
			if err != nil {
				return usagef("--bug: %v", err)
			}
			least, most, err := parseDelay(delay)
			if err != nil {
				return usagef("--create-delay %s: %v", delay, err)
			}
			c, err := contract.resolve(true, set)
			if err != nil {
				return err
			}
			return a.stackUp(cmd.Context(), embedded.Options{Bugs: set, Profile: c.Profile, Flags: c.Changed(), SyncInterval: syncInterval, CreateDelay: least, CreateDelayMost: most}, asJSON)
		},
	}
	up.Flags().StringVar(&list, "bug", "", "seeded bugs to switch on, comma-separated; chaos bugs lists them")
	up.Flags().StringVar(&delay, "create-delay", "0s", "how long each new box takes, as a virtual machine would; a range like 500ms-3s is drawn from for each box")
	up.Flags().BoolVar(&asJSON, "json", false, "print the addresses as one JSON object")
	contract.addContract(up.Flags())
	cmd.AddCommand(up, a.doctorCmd(), a.sweepCmd())
	return cmd
}

// parseDelay reads a time, or a range of them.
func parseDelay(text string) (least, most time.Duration, err error) {
	low, high, ranged := strings.Cut(text, "-")
	if least, err = time.ParseDuration(low); err == nil {
		most = least
	}
	if ranged && err == nil {
		most, err = time.ParseDuration(high)
	}
	if err != nil || least < 0 || most < least || most > 30*time.Second {
		return 0, 0, errors.New("want a time like 1s, or a range like 500ms-3s, up to 30s")
	}
	return least, most, nil
}

func (a *app) stackUp(ctx context.Context, opt embedded.Options, asJSON bool) error {
	s, err := embedded.Start(ctx, opt)
	if err != nil {
		return &startError{err}
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
		defer cancel()
		_ = s.Stop(ctx)
	}()
	if asJSON {
		addr := map[string]any{"url": s.URL(), "key": s.Key(), "other_key": s.OtherKey(), "runner_url": s.RunnerURL(), "profile": s.Contract().Profile, "journal": s.LogAddress(),
			"contract": s.Contract().Flags.String(), "bugs": opt.Bugs.String(), "notes": s.Notes()}
		if s.Contract().Profile == "serve" {
			delete(addr, "other_key") // boxlite serve has one tenant
		}
		if err := writeJSON(a.out, addr); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(a.out, "API      %s\nkey      %s\nrunner   %s\njournal  %s\n", s.URL(), s.Key(), s.RunnerURL(), s.LogAddress())
		for _, n := range s.Notes() {
			fmt.Fprintln(a.out, n)
		}
		fmt.Fprintf(a.out, "\ntry it   BOXLITE_API_KEY=%s %s\nstop it  Ctrl-C\n", s.Key(), command(slices.Concat([]string{"run", "--stack", s.URL()}, contractWords(s.Contract()), []string{"--duration", "30s"})...))
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.Dead():
		return &deadStack{err}
	}
}
