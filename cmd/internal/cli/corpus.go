package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"chaos/actions"
	"chaos/cmd/internal/report"
	"chaos/corpus"
)

// suiteDir is where promoted cases live, from the root of the repository.
const suiteDir = "corpus/regressions"

func (a *app) corpusCmd() *cobra.Command {
	var dir, suite string
	cmd := &cobra.Command{Use: "corpus", Short: "Look after saved cases", Args: noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.PersistentFlags().StringVar(&dir, "corpus", defaultCorpus, "folder of cases")
	ls := &cobra.Command{Use: "ls", Short: "List the cases", Args: argCount(0, 0, ""), RunE: func(cmd *cobra.Command, _ []string) error {
		// The default folder may be missing, before anything was found; a folder that was named may not.
		if _, err := os.Stat(dir); err != nil && cmd.Flags().Changed("corpus") {
			return usagef("--corpus: %v; name a folder of cases", err)
		}
		return a.corpusList(dir)
	}}
	show := &cobra.Command{Use: "show CASE", Short: "Print one case", Args: argCount(1, 1, "the name or path of one case"),
		RunE: func(_ *cobra.Command, args []string) error { return a.corpusShow(dir, args[0]) }}
	promote := &cobra.Command{Use: "promote CASE", Short: "Copy a case into the regression suite", Args: argCount(1, 1, "the name or path of one case"),
		RunE: func(cmd *cobra.Command, args []string) error {
			// Elsewhere than in the repository a suite of its own would be made, which nothing runs.
			if st, err := os.Stat(suite); !cmd.Flags().Changed("suite") && (err != nil || !st.IsDir()) {
				return usagef("chaos corpus promote: there is no folder %s here; run it in the repository, or name a folder with --suite", suite)
			}
			return a.corpusPromote(dir, suite, args[0])
		}}
	promote.Flags().StringVar(&suite, "suite", suiteDir, "folder of the regression suite")
	rm := &cobra.Command{Use: "rm CASE", Short: "Remove a case", Args: argCount(1, 1, "the name or path of one case"),
		RunE: func(_ *cobra.Command, args []string) error { return a.corpusRemove(dir, args[0]) }}
	cmd.AddCommand(ls, show, promote, rm)
	return cmd
}

func (a *app) corpusList(dir string) error {
	store, err := openCorpus(a, dir)
	if err != nil {
		return err
	}
	cases, _, err := corpus.LoadDir(dir, actions.Vocabulary{})
	if err != nil {
		return usagef("--corpus: %v", err)
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, c := range cases {
		rate := "rate not measured"
		if c.Certificate.Runs > 0 {
			rate = fmt.Sprintf("fails %d of %d", c.Certificate.Failures, c.Certificate.Runs)
		}
		on := c.Build
		if best, ok := store.Find(c.Finding()); ok && best.Name != c.Name {
			on = strings.TrimSpace(on + " · the same finding as " + best.Name + ", which is better")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.Name, report.Count(len(c.Plan.Steps), "step"), rate, on)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(store.Broken()) > 0 {
		return exit(ExitUsage)
	}
	if len(cases) == 0 {
		fmt.Fprintf(a.err, "chaos: no cases in %s\n", dir)
	}
	return nil
}

func (a *app) corpusShow(dir, name string) error {
	path := casePath(dir, name)
	if _, err := corpus.Load(path, actions.Vocabulary{}); err != nil {
		return caseError(dir, name, err)
	}
	b, err := corpus.ReadFile(path)
	if err != nil {
		return err
	}
	_, err = a.out.Write(b)
	return err
}

// caseError words the failure to load a case given by name.
func caseError(dir, name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return usagef("no case %s: neither a file nor a name in %s; see chaos corpus ls", name, dir)
	}
	return usagef("%v", err)
}

// storeOf opens the folder of a case given by path or by name, and returns the case's name there. What
// is wrong with other cases is no concern of whoever works on one.
func storeOf(dir, name string) (*corpus.Store, string, error) {
	path := casePath(dir, name)
	store, err := corpus.Open(filepath.Dir(path), actions.Vocabulary{})
	if err != nil {
		return nil, "", usagef("--corpus: %v", err)
	}
	return store, strings.TrimSuffix(filepath.Base(path), corpus.Ext), nil
}

func (a *app) corpusPromote(dir, suite, name string) error {
	if err := usableFolder("--suite", suite); err != nil {
		return err
	}
	store, name, err := storeOf(dir, name)
	if err != nil {
		return err
	}
	path, err := store.Promote(name, suite)
	if err != nil {
		return usagef("chaos corpus promote: %v", err)
	}
	fmt.Fprintf(a.out, "promoted to %s; commit it, and make regress runs it\n", quote(path))
	return nil
}

func (a *app) corpusRemove(dir, name string) error {
	store, name, err := storeOf(dir, name)
	if err != nil {
		return err
	}
	if err := store.Remove(name); err != nil {
		return usagef("chaos corpus rm: %v", err)
	}
	fmt.Fprintln(a.out, "removed "+name)
	return nil
}
