package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"chaos/actions"
	"chaos/corpus"
)

type replayFlags struct {
	stackFlags
	corpus   string
	parallel int
	json     bool
	quiet    bool
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
otherwise.`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.replay(cmd.Context(), f, args) },
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&f.json, "json", false, "print an array of reports")
	cmd.Flags().BoolVar(&f.quiet, "quiet", false, "print only what is not FIXED")
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
	reports := stale
	for _, r := range stale {
		a.printReport(f, r)
	}
	err = replayOn(ctx, f, cases, func(r corpus.Report) {
		reports = append(reports, r)
		a.printReport(f, r)
	})
	if err != nil {
		return err
	}
	if f.json {
		if err := writeJSON(a.out, jsonReports(reports)); err != nil {
			return err
		}
	}
	if c := replayCode(reports); c != ExitOK {
		return exit(c)
	}
	return nil
}

// replayOn replays the cases on the stack of f, one after the other, and reports each.
func replayOn(ctx context.Context, f replayFlags, cases []*corpus.Case, each func(corpus.Report)) error {
	if len(cases) == 0 {
		return nil
	}
	st, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer st.close()
	ctx = st.ctx
	for _, c := range cases {
		r := corpus.Replay(ctx, c, st.rig.Predicate(c.Signature), corpus.ReplayOptions{Parallel: f.parallel, Vocab: actions.Vocabulary{}})
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		each(r)
	}
	return nil
}

func (a *app) printReport(f replayFlags, r corpus.Report) {
	if f.json || f.quiet && r.Verdict.Green() {
		return
	}
	fmt.Fprintln(a.out, r)
}

// replayCode is the exit code for a list of reports.
func replayCode(reports []corpus.Report) int {
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
}

func jsonReports(list []corpus.Report) []jsonReport {
	out := []jsonReport{}
	for _, r := range list {
		signature := ""
		if r.Signature.Invariant != "" { // a file that cannot be read has none
			signature = r.Signature.String()
		}
		out = append(out, jsonReport{r.Case, signature, string(r.Verdict), r.Failures, r.Runs, r.Detail})
	}
	return out
}
