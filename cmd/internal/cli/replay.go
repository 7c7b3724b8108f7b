package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"chaos/actions"
	"chaos/cmd/internal/campaign"
	"chaos/cmd/internal/report"
	"chaos/corpus"
	"chaos/corpus/shrink"
	"chaos/model"
)

type replayFlags struct {
	stackFlags
	corpus   string
	parallel int
	json     bool
	quiet    bool
	report   string
	dir      string // for reports
}

func (f *replayFlags) add(cmd *cobra.Command) {
	f.stackFlags.add(cmd)
	cmd.Flags().StringVar(&f.corpus, "corpus", defaultCorpus, "folder of cases")
	cmd.Flags().IntVar(&f.parallel, "workers", 3, "runs at once, on boxes of their own")
}

func (a *app) replayCmd() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use: "replay [CASE…]", Short: "Run saved cases again: do they still fail?",
		Long: `replay runs each case as often as its certificate asks for and prints FIXED, FAILED, FLAKY k/n, STALE
or ERROR. A case is a name in the corpus or the path of a file. Exit 0 if all are FIXED, 1 if any still
fails, 4 if any could not be judged. The stack is the clean embedded one unless --bug or --stack say
otherwise; it plays the kind of server that the case was found on.`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.replay(cmd.Context(), f, args) },
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&f.json, "json", false, "print an array of reports")
	cmd.Flags().BoolVar(&f.quiet, "quiet", false, "print only what is not FIXED")
	cmd.Flags().StringVar(&f.report, "report", "", "write a report too: junit")
	cmd.Flags().StringVar(&f.dir, "report-dir", ".", "folder for the report")
	return cmd
}

// cases loads the named cases, or all. A file that cannot be read is a report of its own.
func (f *replayFlags) cases(names []string) ([]*corpus.Case, []corpus.Report, error) {
	vocab := actions.Vocabulary{}
	if len(names) == 0 {
		cases, broken, err := corpus.LoadDir(f.corpus, vocab)
		if err != nil {
			return nil, nil, usagef("--corpus: %v", err)
		}
		var stale []corpus.Report
		for _, b := range broken {
			stale = append(stale, corpus.StaleReport(brokenName(b), b))
		}
		if len(cases)+len(stale) == 0 {
			return nil, nil, usagef("no cases in %s; name another folder with --corpus, or find some with chaos run", f.corpus)
		}
		return cases, stale, nil
	}
	var cases []*corpus.Case
	for _, name := range names {
		c, err := corpus.Load(casePath(f.corpus, name), vocab)
		if errors.Is(err, os.ErrNotExist) {
			return nil, nil, usagef("no case %s: neither a file nor a name in %s; see chaos corpus ls", name, f.corpus)
		}
		if err != nil {
			return nil, nil, usagef("%v", err)
		}
		cases = append(cases, c)
	}
	return cases, nil, nil
}

// brokenName is the name of the case whose file gave err, "" if err does not say.
func brokenName(err error) string {
	var at *corpus.Error
	if !errors.As(err, &at) {
		return ""
	}
	return strings.TrimSuffix(filepath.Base(at.File), corpus.Ext)
}

// casePath finds the file of a case given by path or by name.
func casePath(dir, name string) string {
	if strings.ContainsRune(name, filepath.Separator) || strings.HasSuffix(name, corpus.Ext) {
		if _, err := os.Stat(name); err == nil || strings.ContainsRune(name, filepath.Separator) {
			return name
		}
	}
	return filepath.Join(dir, strings.TrimSuffix(name, corpus.Ext)+corpus.Ext)
}

func (a *app) replay(ctx context.Context, f replayFlags, names []string) error {
	if f.parallel < 1 || f.parallel > 64 {
		return usagef("--workers %d: want 1 to 64", f.parallel)
	}
	if _, err := f.check(); err != nil {
		return err
	}
	cases, stale, err := f.cases(names)
	if err != nil {
		return err
	}
	formats, err := parseFormats(f.report, []string{"junit"})
	if err != nil {
		return err
	}
	began := time.Now()
	var reports []replayed
	each := func(r replayed) {
		reports = append(reports, r)
		a.printReport(f, r)
	}
	for _, r := range stale {
		each(replayed{Report: r})
	}
	err = a.replayOn(ctx, f, cases, func(_ int, r replayed) { each(r) })
	code := replayCode(reports)
	if len(formats) > 0 {
		var b bytes.Buffer
		err := replayJUnit(&b, time.Since(began), reports)
		if err == nil {
			err = writeReport(f.dir, report.Formats["junit"], b.Bytes())
		}
		if err != nil {
			return fmt.Errorf("write report: %w", err)
		}
	}
	if err != nil {
		if code == ExitViolation && errors.Is(err, context.Canceled) {
			fmt.Fprintln(a.err, "chaos: interrupted")
			return exit(code) // what was seen is not taken back
		}
		return err
	}
	if f.json {
		if err := writeJSON(a.out, jsonReports(reports)); err != nil {
			return err
		}
	} else if len(reports) > 1 && !f.quiet {
		a.sumUpReplays(f, reports)
	}
	if code != ExitOK {
		return exit(code)
	}
	return nil
}

// replayed is a report with where it comes from.
type replayed struct {
	corpus.Report
	stack string // what it ran on, "" if it did not run
	found string // what the case was found on, "" if it does not say
}

// replayOn replays the cases on the stack of f, one after the other, and reports each with its place
// in the list. Cases of the same contract share a stack; one that the embedded stack cannot play is an
// error of its own.
func (a *app) replayOn(ctx context.Context, f replayFlags, cases []*corpus.Case, each func(n int, r replayed)) error {
	var order []stackFlags
	groups := map[stackFlags][]int{}
	for i, c := range cases {
		s := f.forCase(c)
		if _, err := s.check(); err != nil && s != f.stackFlags {
			each(i, replayed{Report: corpus.ErrorReport(c, "it was found on another kind of server: "+err.Error()), found: c.Build})
			continue
		}
		if len(groups[s]) == 0 {
			order = append(order, s)
		}
		groups[s] = append(groups[s], i)
	}
	done := 0
	for _, s := range order {
		g := f
		g.stackFlags = s
		err := a.replayGroup(ctx, g, cases, groups[s], &done, each)
		if err != nil {
			return err
		}
	}
	return nil
}

// replayGroup replays those of the cases that which lists on one stack.
func (a *app) replayGroup(ctx context.Context, f replayFlags, cases []*corpus.Case, which []int, done *int, each func(n int, r replayed)) error {
	st, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer st.close()
	a.works(st)
	defer a.tellGivenUp(st)
	ctx = st.ctx
	began := time.Now()
	for _, i := range which {
		c := cases[i]
		*done++
		var runs atomic.Int32
		run := st.rig.Predicate(c.Signature)
		counted := func(ctx context.Context, p model.Plan) (shrink.Outcome, error) {
			defer runs.Add(1)
			return run(ctx, p)
		}
		stop := func() {}
		if !f.quiet {
			stop = a.line.show(func() string {
				return fmt.Sprintf("%s · replaying %d of %d on %s: %s · %d of about %s", report.Clock(time.Since(began)), *done, len(cases), st.target.Describe(), c.Name,
					runs.Load(), report.Count(corpus.RunsNeeded(c.Certificate.Low, 0), "run"))
			})
		}
		r := corpus.Replay(ctx, c, counted, corpus.ReplayOptions{Parallel: f.parallel, Vocab: actions.Vocabulary{}})
		stop()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		each(i, replayed{r, st.target.Describe(), c.Build})
	}
	return nil
}

// tellGivenUp says what a stack that hangs may have been left with.
func (a *app) tellGivenUp(st *openStack) {
	if n := st.rig.GivenUp(); n > 0 {
		fmt.Fprintf(a.err, "chaos: gave up %s, not ended %s after their time%s\n", report.Count(n, "plan"), campaign.CleanupLimit, a.leftovers())
	}
}

func (a *app) printReport(f replayFlags, r replayed) {
	if f.json || f.quiet && r.Verdict.Green() {
		return
	}
	line := r.Report.String()
	if r.stack != "" {
		line += " · on " + r.stack
		if r.found != "" {
			line += "; found on " + r.found
		}
	}
	fmt.Fprintln(a.out, line)
}

// sumUpReplays counts the verdicts, and says how to look at a case that needs it.
func (a *app) sumUpReplays(f replayFlags, reports []replayed) {
	var counts []string
	for _, v := range []corpus.Verdict{corpus.Fixed, corpus.Failed, corpus.Flaky, corpus.Stale, corpus.Errored} {
		n := 0
		for _, r := range reports {
			if r.Verdict == v {
				n++
			}
		}
		if n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, v))
		}
	}
	stacks := map[string]bool{}
	for _, r := range reports {
		if r.stack != "" {
			stacks[r.stack] = true
		}
	}
	where := ""
	if len(stacks) > 0 {
		where = " on " + strings.Join(slices.Sorted(maps.Keys(stacks)), " and ")
	}
	fmt.Fprintf(a.out, "\nreplayed %s%s: %s\n", report.Count(len(reports), "case"), where, strings.Join(counts, ", "))
	for _, r := range reports {
		if r.Verdict == corpus.Failed || r.Verdict == corpus.Flaky {
			args := []string{"corpus", "show", r.Case}
			if f.corpus != defaultCorpus {
				args = append(args, "--corpus", f.corpus)
			}
			fmt.Fprintf(a.out, "look at the first that fails: %s\n", command(args...))
			return
		}
	}
}

// replayCode is the exit code for a list of reports.
func replayCode(reports []replayed) int {
	code := ExitOK
	for _, r := range reports {
		switch r.Verdict {
		case corpus.Failed, corpus.Flaky:
			return ExitViolation
		case corpus.Fixed:
		default:
			code = ExitInconclusive
		}
	}
	return code
}

type jsonReport struct {
	Case      string `json:"case"`
	Signature string `json:"signature"`
	Verdict   string `json:"verdict"`
	Failures  int    `json:"failures"`
	Runs      int    `json:"runs"`
	Detail    string `json:"detail"`
	Stack     string `json:"stack,omitempty"`    // what it ran on
	FoundOn   string `json:"found_on,omitempty"` // what the case was found on
}

func jsonOf(r replayed) jsonReport {
	signature := ""
	if r.Signature.Invariant != "" { // a file that cannot be read has none
		signature = r.Signature.String()
	}
	return jsonReport{r.Case, signature, string(r.Verdict), r.Failures, r.Runs, r.Detail, r.stack, r.found}
}

func jsonReports(list []replayed) []jsonReport {
	out := []jsonReport{}
	for _, r := range list {
		out = append(out, jsonOf(r))
	}
	return out
}
