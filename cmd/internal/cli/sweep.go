package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"chaos/cmd/internal/report"
	"chaos/stack/live"
)

func (a *app) sweepCmd() *cobra.Command {
	var f stackFlags
	var dry, asJSON bool
	var wait time.Duration
	cmd := &cobra.Command{
		Use: "sweep", Short: "Remove what interrupted runs have left on a stack given by URL", Args: argCount(0, 0, ""),
		Long: `sweep removes the boxes that stand in the ledgers of runs that were killed, and no others: a run on a
stack given by URL writes down each box before it asks for it. Runs that still go on are left alone.
Exit 0 if nothing of theirs is left, 3 if a box could not be removed or a ledger not be read.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.sweep(cmd.Context(), f, wait, dry, asJSON) },
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only say what would be removed")
	cmd.Flags().DurationVar(&wait, "wait", live.CreateTime, "how long after it was asked for a box may still come to be")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func (a *app) sweep(ctx context.Context, f stackFlags, wait time.Duration, dry, asJSON bool) error {
	if _, err := f.check(); err != nil {
		return err
	}
	if f.stack == "embedded" {
		return usagef("chaos stack sweep: an embedded stack leaves nothing; name one with --stack URL or --stack-profile")
	}
	s, err := live.SweepStack(ctx, f.config(), f.ledger, wait, dry)
	if err != nil {
		return err
	}
	f.sayOrigin()
	stuck := len(s.Broken)
	for _, b := range s.Boxes {
		if b.Err != nil {
			stuck++
		}
	}
	if asJSON {
		err = writeJSON(a.out, sweepJSON(f, s, dry))
	} else {
		a.printSweep(f, s, dry)
	}
	if err == nil && stuck > 0 {
		return exit(ExitBroken)
	}
	return err
}

func (a *app) printSweep(f stackFlags, s live.Sweep, dry bool) {
	done, gone := "removed", 0
	if dry {
		done = "would remove"
	}
	for _, b := range s.Boxes {
		if b.Err != nil {
			fmt.Fprintf(a.out, "left %s %s: %v\n", b.ID, b.Name, b.Err)
			continue
		}
		gone++
		fmt.Fprintf(a.out, "%s %s %s\n", done, b.ID, b.Name)
	}
	for _, err := range s.Broken {
		a.complain(fmt.Errorf("skipped a ledger: %w", err))
	}
	fmt.Fprintf(a.out, "swept %s: %s %s; %s of others left alone", f.stack, done, report.Count(gone, "box", "boxes"), report.Count(s.Others, "box", "boxes"))
	if s.Running > 0 {
		fmt.Fprintf(a.out, "; %s still going on", report.Count(s.Running, "run"))
	}
	if s.Elsewhere > 0 {
		fmt.Fprintf(a.out, "; %s of other stacks in %s", report.Count(s.Elsewhere, "ledger"), f.ledger)
	}
	fmt.Fprintln(a.out)
}

func sweepJSON(f stackFlags, s live.Sweep, dry bool) map[string]any {
	boxes := []map[string]string{}
	for _, b := range s.Boxes {
		x := map[string]string{"id": b.ID, "name": b.Name}
		if b.Err != nil {
			x["error"] = b.Err.Error()
		}
		boxes = append(boxes, x)
	}
	broken := []string{}
	for _, err := range s.Broken {
		broken = append(broken, err.Error())
	}
	return map[string]any{"stack": f.stack, "dry_run": dry, "boxes": boxes, "others": s.Others, "running": s.Running, "elsewhere": s.Elsewhere, "broken": broken}
}
