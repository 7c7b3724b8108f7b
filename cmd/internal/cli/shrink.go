package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"chaos/actions"
	"chaos/corpus"
	"chaos/corpus/shrink"
	"chaos/stack/embedded/bugs"
)

func (a *app) shrinkCmd() *cobra.Command {
	var f replayFlags
	var budget time.Duration
	cmd := &cobra.Command{
		Use: "shrink CASE", Short: "Shrink a saved case further", Args: argCount(1, 1, "the name or path of one case"),
		Long: `shrink reduces a case on the stack it fails on and saves the result if it is better. The case's seeded
bugs are switched on again unless --bug or --stack say otherwise. Ctrl-C keeps the best so far.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if budget < 0 {
				return usagef("--budget %s is negative", budget)
			}
			return a.shrink(cmd.Context(), f, args[0], budget, cmd.Flags().Changed("bug"))
		},
	}
	f.add(cmd)
	cmd.Flags().DurationVar(&budget, "budget", 5*time.Minute, "longest time to shrink")
	return cmd
}

func (a *app) shrink(ctx context.Context, f replayFlags, name string, budget time.Duration, bugsGiven bool) error {
	if f.parallel < 1 || f.parallel > 64 {
		return usagef("--workers %d: want 1 to 64", f.parallel)
	}
	if _, err := f.check(); err != nil {
		return err
	}
	if err := usableFolder("--corpus", f.corpus); err != nil {
		return err
	}
	cases, _, err := f.cases([]string{name})
	if err != nil {
		return err
	}
	cs := *cases[0]
	if !bugsGiven && f.stack == "embedded" {
		f.bugs = strings.Join(cs.Bugs, ",")
		if _, err := bugs.Parse(f.bugs); err != nil {
			return usagef("case %s: %v; name others with --bug", name, err)
		}
	}
	store, err := openCorpus(a, f.corpus)
	if err != nil {
		return err
	}
	st, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer st.close()
	before := len(cs.Plan.Steps)
	res, err := shrink.Shrink(st.ctx, cs.Plan, st.rig.Predicate(cs.Signature), shrink.Options{Parallel: f.parallel, Budget: budget, Vocab: actions.Vocabulary{},
		OnBetter: func(p shrink.Progress) {
			fmt.Fprintf(a.err, "%d steps after %d runs\n", len(p.Plan.Steps), p.Executions)
		}})
	var dead *deadStack
	if errors.As(context.Cause(st.ctx), &dead) {
		return dead // runs on a dead stack say nothing about the case
	}
	if err != nil {
		return err
	}
	if res.Flaky {
		fmt.Fprintf(a.out, "%s failed in %d of %d runs on %s, which cannot be told from noise; it was not shrunk\n", name, res.OriginalRate.Failures, res.OriginalRate.Runs, st.target.Describe())
		return exit(ExitInconclusive)
	}
	cs.Plan, cs.Certificate = res.Shortest.Plan, res.Shortest.Certificate
	cs.Shrunk = fmt.Sprintf("%d steps to %d in %d runs", before, len(cs.Plan.Steps), res.Executions)
	if res.Interrupted {
		cs.Shrunk += ", " + res.Stopped
	}
	added, path, err := store.Add(&cs)
	if err != nil {
		return fmt.Errorf("save case: %w", err)
	}
	printCase(a.out, &cs)
	fmt.Fprintf(a.out, "  saved    %s (%s)\n", path, shrinkWord(added))
	return nil
}

func shrinkWord(a corpus.Added) string {
	if a == corpus.Duplicate {
		return "unchanged: the saved case is as good"
	}
	return string(a)
}
