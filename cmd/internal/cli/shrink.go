package cli

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"chaos/actions"
	"chaos/cmd/internal/report"
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
bugs are switched on again, and its contract is kept, unless flags say otherwise. Ctrl-C keeps the best so far.`,
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
	old, store, st, err := a.openCase(ctx, &f, name, bugsGiven)
	if err != nil {
		return err
	}
	defer st.close()
	defer a.tellGivenUp(st)
	cs, before := *old, len(old.Plan.Steps)
	began, doing := time.Now(), atomic.Pointer[string]{}
	doing.Store(new("shrinking: measuring how often it fails"))
	stop := a.line.show(func() string {
		return fmt.Sprintf("%s · %s · %s on %s", report.Clock(time.Since(began)), *doing.Load(), cs.Name, st.target.Describe())
	})
	defer stop()
	res, err := shrink.Shrink(st.ctx, cs.Plan, st.rig.Predicate(cs.Signature), shrink.Options{Parallel: f.parallel, Budget: budget, Vocab: actions.Vocabulary{},
		OnBetter: func(p shrink.Progress) {
			doing.Store(new(shrinking(before, p)))
			fmt.Fprintf(a.err, "%s after %s\n", report.Count(len(p.Plan.Steps), "step"), report.Count(p.Executions, "run"))
		}})
	stop()
	var dead *deadStack
	if errors.As(context.Cause(st.ctx), &dead) {
		return dead // runs on a dead stack say nothing about the case
	}
	if err != nil {
		return err
	}
	if res.Flaky || res.OriginalRate.Failures == 0 {
		fmt.Fprintf(a.out, "%s failed in %d of %s on %s, which cannot be told from noise; it was not shrunk\n", name, res.OriginalRate.Failures, report.Count(res.OriginalRate.Runs, "run"), st.target.Describe())
		return exit(ExitInconclusive)
	}
	cs.Plan, cs.Certificate = res.Shortest.Plan, res.Shortest.Certificate
	cs.Shrunk = shrunk(old, len(cs.Plan.Steps), res)
	added, path, err := store.Add(&cs)
	if err != nil {
		return fmt.Errorf("save case: %w", err)
	}
	if kept, ok := store.Find(cs.Finding()); ok && added == corpus.Duplicate {
		printCase(a.out, kept)
		fmt.Fprintf(a.out, "  again    %s, %s\n  saved    %s (unchanged: the saved case is as good)\n", report.Count(len(cs.Plan.Steps), "step"), cs.Certificate, quote(path))
		return nil
	}
	printCase(a.out, &cs)
	fmt.Fprintf(a.out, "  saved    %s (%s)\n", quote(path), added)
	return nil
}

// openCase loads a case and starts or reaches the stack that it fails on, with the seeded bugs and the
// contract that it names unless flags say otherwise.
func (a *app) openCase(ctx context.Context, f *replayFlags, name string, bugsGiven bool) (*corpus.Case, *corpus.Store, *openStack, error) {
	if f.parallel < 1 || f.parallel > 64 {
		return nil, nil, nil, usagef("--workers %d: want 1 to 64", f.parallel)
	}
	if _, err := f.check(); err != nil {
		return nil, nil, nil, err
	}
	if err := usableFolder("--corpus", f.corpus); err != nil {
		return nil, nil, nil, err
	}
	cases, _, err := f.cases([]string{name})
	if err != nil {
		return nil, nil, nil, err
	}
	cs := cases[0]
	if !bugsGiven && f.stack == "embedded" {
		f.bugs = strings.Join(cs.Bugs, ",")
		if _, err := bugs.Parse(f.bugs); err != nil {
			return nil, nil, nil, usagef("case %s: %v; name others with --bug", name, err)
		}
	}
	f.stackFlags = f.forCase(cs)
	if _, err := f.check(); err != nil {
		return nil, nil, nil, usagef("case %s: %v; name another contract with --profile", name, err)
	}
	store, err := openCorpus(a, f.corpus)
	if err != nil {
		return nil, nil, nil, err
	}
	st, err := f.open(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	a.works(st)
	return cs, store, st, nil
}

var shrunkBefore = regexp.MustCompile(`^\d+ steps? to \d+ `)

// shrunk says what became of old, a case that may have been shrunk before.
func shrunk(old *corpus.Case, after int, res shrink.Result) string {
	before := len(old.Plan.Steps)
	out := fmt.Sprintf("%s to %d in %s", report.Count(before, "step"), after, report.Count(res.Executions, "run"))
	if shrunkBefore.MatchString(old.Shrunk) {
		if after == before {
			return old.Shrunk
		}
		out = fmt.Sprintf("%s; then to %d in %s", old.Shrunk, after, report.Count(res.Executions, "run"))
	}
	if res.Interrupted {
		out += ", " + res.Stopped
	}
	return out
}
