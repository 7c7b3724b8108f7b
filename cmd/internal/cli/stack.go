package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"chaos/stack/embedded"
	"chaos/stack/embedded/bugs"
)

func (a *app) stackCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "stack", Short: "Work with the embedded stack by itself", Args: noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	var list string
	var contract contractFlags
	var delay time.Duration
	var asJSON bool
	up := &cobra.Command{
		Use: "up", Short: "Start the embedded stack and keep it until Ctrl-C", Args: argCount(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := bugs.Parse(list)
			if err != nil {
				return usagef("--bug: %v", err)
			}
			if delay < 0 {
				return usagef("--create-delay %s is negative", delay)
			}
			c, err := contract.resolve(true, set)
			if err != nil {
				return err
			}
			return a.stackUp(cmd.Context(), embedded.Options{Bugs: set, Profile: c.Profile, Flags: c.Changed(), SyncInterval: syncInterval, CreateDelay: delay}, asJSON)
		},
	}
	up.Flags().StringVar(&list, "bug", "", "seeded bugs to switch on, comma-separated; chaos bugs lists them")
	up.Flags().DurationVar(&delay, "create-delay", 0, "how long each new box takes, as a virtual machine would")
	up.Flags().BoolVar(&asJSON, "json", false, "print the addresses as one JSON object")
	contract.addContract(up.Flags())
	cmd.AddCommand(up, a.doctorCmd())
	return cmd
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
		addr := map[string]any{"url": s.URL(), "key": s.Key(), "other_key": s.OtherKey(), "runner_url": s.RunnerURL(), "profile": s.Contract().Profile,
			"contract": s.Contract().Flags.String(), "bugs": opt.Bugs.String(), "notes": s.Notes()}
		if s.Contract().Profile == "serve" {
			delete(addr, "other_key") // boxlite serve has one tenant
		}
		if err := writeJSON(a.out, addr); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(a.out, "API      %s\nkey      %s\nrunner   %s\n", s.URL(), s.Key(), s.RunnerURL())
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
