package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"

	"github.com/spf13/cobra"

	"chaos/actions"
	"chaos/cmd/internal/campaign"
	"chaos/cmd/internal/report"
	"chaos/invariants"
	"chaos/model"
)

func (a *app) judgeCmd() *cobra.Command {
	var quiet, all bool
	cmd := &cobra.Command{
		Use: "judge RUN_DIR", Short: "Judge the saved histories of a run again", Args: argCount(1, 1, "the folder of one run, or of one history in it"),
		Long: `judge holds saved histories against the promises again and prints each finding once, with the number
of histories that show it and one of them as an example. Given the folder of one history it tells of that
one only.`,
		RunE: func(_ *cobra.Command, args []string) error { return a.judge(args[0], quiet, all) },
	}
	cmd.Flags().BoolVar(&all, "all", false, "print every violation of every history")
	cmd.Flags().BoolVar(&quiet, "quiet", false, "print only the last line")
	return cmd
}

func (a *app) judge(dir string, quiet, all bool) error {
	if st, err := os.Stat(dir); err != nil {
		return usagef("chaos judge: %v", err)
	} else if !st.IsDir() {
		return usagef("chaos judge: %s is a file; name the folder of a run", dir)
	}
	var total, violated, inconclusive, changed, broken int
	var unknown error
	var tally report.Tally
	errs := campaign.ReadFolder(dir, actions.Vocabulary{}, func(s campaign.Saved) {
		contract, err := s.History.Meta.Contract()
		if err != nil {
			unknown = usagef("chaos judge: %s: %v", s.Path, err)
			return
		}
		v := invariants.Judge(s.History, contract)
		total++
		switch {
		case v.Broken != "":
			broken++
		case v.Status == model.Violated:
			violated++
		case v.Status == model.Inconclusive:
			inconclusive++
		}
		differs := s.Verdict != nil && !reflect.DeepEqual(normal(*s.Verdict), normal(v))
		if differs {
			changed++
		}
		if quiet || v.Status == model.Pass && !differs {
			return
		}
		name := filepath.Base(s.Path)
		if all || filepath.Clean(s.Path) == filepath.Clean(dir) {
			report.Judged(a.out, name, s.History, v, differs, all)
			return
		}
		tally.Add(name, s.History, v, differs)
	})
	tally.Print(a.out, func(name string) string { return command("judge", filepath.Join(dir, name)) })
	for _, err := range errs {
		fmt.Fprintln(a.err, "chaos: "+oneLine(err))
	}
	if unknown != nil {
		return unknown
	}
	if total == 0 && len(errs) == 0 {
		return usagef("chaos judge: no history in %s; name the folder that chaos run --out made", dir)
	}
	fmt.Fprintf(a.out, "judged %s: %d violated, %d inconclusive, %d judged otherwise than before\n", report.Count(total, "history", "histories"), violated, inconclusive, changed)
	switch {
	case len(errs) > 0:
		return exit(ExitUsage)
	case broken > 0:
		return exit(ExitBroken)
	case violated > 0:
		return exit(ExitViolation)
	case inconclusive > 0:
		return exit(ExitInconclusive)
	}
	return nil
}

// normal makes empty and missing lists equal, as they are in a file.
func normal(v model.Verdict) model.Verdict {
	if len(v.Violations) == 0 {
		v.Violations = nil
	}
	if len(v.Unjudged) == 0 {
		v.Unjudged = nil
	}
	return v
}
