package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"chaos/cmd/internal/campaign"
	"chaos/cmd/internal/report"
	"chaos/corpus"
)

type twoSidedFlags struct {
	base, candidate, corpus string
	duration                time.Duration
	seed                    int64
	workers                 int
}

func (a *app) twoSidedCmd() *cobra.Command {
	var f twoSidedFlags
	cmd := &cobra.Command{
		Use: "two-sided [CASE…]", Short: "Prove a fix: the base must fail, the candidate must pass",
		Long: `two-sided replays cases on two stacks. Without a case it first searches the base for one. A stack is
written as for run, in one argument: 'embedded', 'embedded --bug stdout-race', or
'http://127.0.0.1:3000/api --key KEY'. Exit 0 PASS: the base fails and the candidate passes; 1 FAIL: the
candidate fails; 4 INDETERMINATE: both pass, or the base could not be made to fail.`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.twoSided(cmd.Context(), f, args) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.base, "base", "", "stack that has the bug, e.g. 'embedded --bug stdout-race'")
	fl.StringVar(&f.candidate, "candidate", "", "stack that should not have it, e.g. embedded")
	fl.StringVar(&f.corpus, "corpus", defaultCorpus, "folder of the named cases")
	fl.DurationVar(&f.duration, "duration", time.Minute, "how long to search the base when no case is named")
	fl.Int64Var(&f.seed, "seed", 1, "seed of that search")
	fl.IntVar(&f.workers, "workers", 3, "runs at once")
	return cmd
}

// parseStack reads the form that --base and --candidate take.
func parseStack(flag, text string) (stackFlags, error) {
	var s stackFlags
	if strings.TrimSpace(text) == "" {
		return s, usagef("%s is missing; give a stack, like %s embedded", flag, flag)
	}
	fs := pflag.NewFlagSet(flag, pflag.ContinueOnError)
	fs.Usage = func() {}
	fs.StringVar(&s.bugs, "bug", "", "")
	fs.StringVar(&s.key, "key", "", "")
	if err := fs.Parse(strings.Fields(text)); err != nil {
		return s, usagef("%s %q: %v", flag, text, err)
	}
	if fs.NArg() != 1 {
		return s, usagef("%s %q: want one stack, embedded or a URL, and then --bug or --key", flag, text)
	}
	s.stack = fs.Arg(0)
	if _, err := s.check(); err != nil {
		return s, usagef("%s %q: %v", flag, text, err)
	}
	return s, nil
}

func (a *app) twoSided(ctx context.Context, f twoSidedFlags, names []string) error {
	base, err := parseStack("--base", f.base)
	if err != nil {
		return err
	}
	candidate, err := parseStack("--candidate", f.candidate)
	if err != nil {
		return err
	}
	switch {
	case f.duration <= 0:
		return usagef("--duration %s: want a time like 1m", f.duration)
	case f.workers < 1 || f.workers > 64:
		return usagef("--workers %d: want 1 to 64", f.workers)
	}
	for _, s := range []stackFlags{base, candidate} {
		if err := s.reach(ctx); err != nil {
			return err
		}
	}
	var cases []*corpus.Case
	if len(names) > 0 {
		r := replayFlags{corpus: f.corpus}
		if cases, _, err = r.cases(names); err != nil {
			return err
		}
	} else if cases, err = a.searchBase(ctx, f, base); err != nil {
		return err
	}
	if len(cases) == 0 {
		fmt.Fprintf(a.out, "INDETERMINATE  the base %q did not fail in %s of random plans: search longer with --duration\n", f.base, f.duration)
		return exit(ExitInconclusive)
	}
	return a.proveFix(ctx, f, base, candidate, cases)
}

// searchBase finds and shrinks one failure of the base.
func (a *app) searchBase(ctx context.Context, f twoSidedFlags, base stackFlags) ([]*corpus.Case, error) {
	st, err := base.open(ctx)
	if err != nil {
		return nil, err
	}
	defer st.close()
	ctx = st.ctx
	c := &campaign.Campaign{Rig: st.rig, Events: campaign.Quiet{}, Stats: &campaign.Stats{}, Build: st.target.Describe(), Bugs: bugList(base.bugs), Excerpt: report.Excerpt,
		Config: campaign.Config{Seed: f.seed, Duration: f.duration, Workers: f.workers, FailFast: true, Shrink: campaign.ShrinkConfig{Budget: f.duration, Parallel: f.workers}}}
	findings, err := c.Run(ctx)
	if err == nil && len(findings) == 0 && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil || len(findings) == 0 {
		return nil, err
	}
	fmt.Fprintf(a.out, "the base fails: %s\n", findings[0].Violation.Signature)
	printCase(a.out, findings[0].Case)
	return []*corpus.Case{findings[0].Case}, nil
}

// proveFix replays the cases on both stacks and prints one verdict each.
func (a *app) proveFix(ctx context.Context, f twoSidedFlags, base, candidate stackFlags, cases []*corpus.Case) error {
	var sides [2][]corpus.Report
	for i, s := range []stackFlags{base, candidate} {
		rf := replayFlags{stackFlags: s, parallel: f.workers}
		if err := replayOn(ctx, rf, cases, func(r corpus.Report) { sides[i] = append(sides[i], r) }); err != nil {
			return err
		}
	}
	code := ExitOK
	for i := range cases {
		proof, why := corpus.TwoSided(sides[0][i], sides[1][i])
		fmt.Fprintf(a.out, "%s  %s\n", proof, why)
		switch {
		case proof == corpus.ProofFail:
			code = ExitViolation
		case proof != corpus.ProofPass && code == ExitOK:
			code = ExitInconclusive
		}
	}
	if code != ExitOK {
		return exit(code)
	}
	return nil
}
