package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"chaos/actions"
	"chaos/cmd/internal/report"
	"chaos/corpus"
	"chaos/corpus/shrink"
	"chaos/model"
	"chaos/model/gen"
	"chaos/model/plantext"
)

func (a *app) whyCmd() *cobra.Command {
	var f replayFlags
	var runs int
	var asJSON bool
	cmd := &cobra.Command{
		Use: "why CASE", Short: "Measure what each part of a saved case does for its failure", Args: argCount(1, 1, "the name or path of one case"),
		Long: `why takes each step, argument, delay, wait and fault of a case away, one at a time, and measures how often
the rest still fails, on the stack that the case fails on. A part is called needed, or said to amplify or
to hinder, only when the 95 % intervals do not overlap.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if runs < 10 || runs > 10_000 {
				return usagef("--runs %d: want 10 to 10000", runs)
			}
			return a.why(cmd.Context(), f, args[0], runs, asJSON, cmd.Flags().Changed("bug"))
		},
	}
	f.add(cmd)
	cmd.Flags().IntVar(&runs, "runs", 40, "runs without each part")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func (a *app) why(ctx context.Context, f replayFlags, name string, runs int, asJSON, bugsGiven bool) error {
	cs, _, st, err := a.openCase(ctx, &f, name, bugsGiven)
	if err != nil {
		return err
	}
	defer st.close()
	defer a.tellGivenUp(st)
	began, doing := time.Now(), atomic.Pointer[string]{}
	doing.Store(new("measuring how often it fails"))
	stop := a.line.show(func() string {
		return fmt.Sprintf("%s · %s · %s on %s", report.Clock(time.Since(began)), *doing.Load(), cs.Name, st.target.Describe())
	})
	defer stop()
	whole, causes, err := shrink.Why(st.ctx, cs.Plan, st.rig.Predicate(cs.Signature), shrink.WhyOptions{Runs: runs, Parallel: shrinkParallel(f.parallel), Vocab: actions.Vocabulary{},
		OnCause: func(done, of int, _ shrink.Cause) { doing.Store(new(fmt.Sprintf("part %d of %d", done, of))) }})
	stop()
	if err != nil {
		return brokenOff(st, err)
	}
	if asJSON {
		return writeJSON(a.out, whyJSON(cs, whole, causes))
	}
	fmt.Fprintf(a.out, "%s %s as it is\n\n", cs.Signature, whole)
	a.printCauses(cs.Plan, causes)
	if whole.Failures == 0 {
		fmt.Fprintf(a.err, "chaos: the case did not fail in %s, so nothing can be said of its parts\n", report.Count(whole.Runs, "run"))
		return exit(ExitInconclusive)
	}
	return nil
}

// printCauses prints the plan, each line with what became of it.
func (a *app) printCauses(p model.Plan, causes []shrink.Cause) {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "  without\tit fails\t95 %\t")
	last := -1
	for _, c := range causes {
		what := "    " + c.What
		if c.Step != last && c.What == "step" {
			what = plantext.Line(p.Steps[c.Step])
		}
		last = c.Step
		fmt.Fprintf(w, "  %s\t%d of %d\t%.0f–%.0f %%\t%s\n", what, c.Without.Failures, c.Without.Runs, 100*c.Without.Low, 100*c.Without.High, c.Role)
	}
	_ = w.Flush() // as good as any other line that cannot be printed
}

func whyJSON(cs *corpus.Case, whole shrink.Certificate, causes []shrink.Cause) any {
	type rate struct {
		Failures int     `json:"failures"`
		Runs     int     `json:"runs"`
		Low      float64 `json:"low"`
		High     float64 `json:"high"`
	}
	type cause struct {
		Step int         `json:"step"` // from 1
		Line string      `json:"line"`
		What string      `json:"what"`
		Rate rate        `json:"without"`
		Role shrink.Role `json:"role"`
	}
	out := struct {
		Case      string  `json:"case"`
		Signature string  `json:"signature"`
		Rate      rate    `json:"rate"`
		Causes    []cause `json:"causes"`
	}{cs.Name, cs.Signature.String(), rate{whole.Failures, whole.Runs, whole.Low, whole.High}, []cause{}}
	for _, c := range causes {
		out.Causes = append(out.Causes, cause{c.Step + 1, plantext.Line(cs.Plan.Steps[c.Step]), c.What,
			rate{c.Without.Failures, c.Without.Runs, c.Without.Low, c.Without.High}, c.Role})
	}
	return out
}

// brokenOff prefers the death of the stack to err, which it may have caused.
func brokenOff(st *openStack, err error) error {
	var dead *deadStack
	if errors.As(context.Cause(st.ctx), &dead) {
		return dead
	}
	return err
}

func (a *app) tuneCmd() *cobra.Command {
	var f replayFlags
	var tries int
	cmd := &cobra.Command{
		Use: "tune CASE", Short: "Search for a schedule of messages under which a saved case fails more often", Args: argCount(1, 1, "the name or path of one case"),
		Long: `tune draws schedules for the messages of a case, keeps the one under which it fails most often, and drops
what that does not need. The case is saved with it only if the fresh runs are clearly better.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if tries < 1 || tries > 1000 {
				return usagef("--tries %d: want 1 to 1000", tries)
			}
			return a.tune(cmd.Context(), f, args[0], tries, cmd.Flags().Changed("bug"))
		},
	}
	f.add(cmd)
	cmd.Flags().IntVar(&tries, "tries", 32, "schedules to draw")
	return cmd
}

func (a *app) tune(ctx context.Context, f replayFlags, name string, tries int, bugsGiven bool) error {
	f.schedule = true
	old, store, st, err := a.openCase(ctx, &f, name, bugsGiven)
	if err != nil {
		return err
	}
	defer st.close()
	defer a.tellGivenUp(st)
	began, doing := time.Now(), atomic.Pointer[string]{}
	doing.Store(new(fmt.Sprintf("trying %s", report.Count(tries, "schedule"))))
	stop := a.line.show(func() string {
		return fmt.Sprintf("%s · %s · %s on %s", report.Clock(time.Since(began)), *doing.Load(), old.Name, st.target.Describe())
	})
	defer stop()
	best, whole, ok, err := shrink.Tune(st.ctx, old.Plan, schedules(old.Plan), st.rig.Predicate(old.Signature), shrink.TuneOptions{
		Tries: tries, Parallel: shrinkParallel(f.parallel), Vocab: actions.Vocabulary{},
		OnRound: func(left, _ int, best shrink.Candidate) {
			doing.Store(new(fmt.Sprintf("%s left, the best %s", report.Count(left, "schedule"), best.Certificate)))
		}})
	stop()
	if err != nil {
		return brokenOff(st, err)
	}
	if !ok {
		fmt.Fprintf(a.out, "as it is   %s\nbest seen  %s\nno schedule is clearly better; the case stays as it is\n", whole.Certificate, best.Certificate)
		return exit(ExitInconclusive)
	}
	cs := *old
	cs.Plan, cs.Certificate = best.Plan, best.Certificate
	cs.Shrunk = strings.TrimPrefix(fmt.Sprintf("%s; then scheduled: it %s before", old.Shrunk, whole.Certificate), "; ")
	added, path, err := store.Add(&cs)
	if err != nil {
		return fmt.Errorf("save case: %w", err)
	}
	printCase(a.out, &cs)
	fmt.Fprintf(a.out, "  before   %s\n  saved    %s (%s)\n", whole.Certificate, quote(path), added)
	return nil
}

// schedules returns p under schedule n.
func schedules(p model.Plan) func(n int) model.Plan {
	way := func(action string) model.Way {
		if spec, ok := (actions.Vocabulary{}).Lookup(action); ok {
			return spec.Way
		}
		return model.ToAPI
	}
	return func(n int) model.Plan { return gen.ScheduleAt(p, way, int64(n)) }
}
