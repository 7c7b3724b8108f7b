package cli

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"chaos/actions"
	"chaos/cmd/internal/campaign"
	"chaos/cmd/internal/report/repro"
	"chaos/corpus"
)

// exportKinds are what a case can be written as.
var exportKinds = []string{"sh", "go", "pytest", "markdown", "history"}

type exportFlags struct{ as, out, corpus, run string }

func (a *app) exportCmd() *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use: "export CASE", Short: "Write a case as a program or text that needs no chaos", Args: argCount(1, 1, "the name or path of one case"),
		Long: `export writes a case as a shell script (sh), a Go test (go), a pytest file (pytest), the text of an issue
(markdown), or prints the saved history of a run that failed so (history). The programs take their target
from BOXLITE_URL and BOXLITE_API_KEY and perform the plan until it fails, or as often as its rate asks for. What
cannot be seen in answers of the API, or needs faults or a schedule of messages, is refused with exit 2.`,
		RunE: func(_ *cobra.Command, args []string) error { return a.export(f, args[0]) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.as, "as", "sh", strings.Join(exportKinds, ", "))
	fl.StringVar(&f.out, "out", "", "file to write (default stdout)")
	fl.StringVar(&f.corpus, "corpus", defaultCorpus, "folder of cases")
	fl.StringVar(&f.run, "run", "", "for history: the folder of the run (default each below "+defaultOut+")")
	return cmd
}

func (a *app) export(f exportFlags, name string) error {
	if !slices.Contains(exportKinds, f.as) {
		return usagef("--as %s: want one of %s", f.as, strings.Join(exportKinds, ", "))
	}
	if f.run != "" && f.as != "history" {
		return usagef("--run is for --as history only")
	}
	rf := replayFlags{corpus: f.corpus}
	cases, _, err := rf.cases([]string{name})
	if err != nil {
		return err
	}
	text, mode, err := exported(cases[0], f, name)
	if err != nil {
		return err
	}
	if f.out == "" {
		_, err := io.WriteString(a.out, text)
		return err
	}
	if err := os.WriteFile(f.out, []byte(text), mode); err != nil {
		return usagef("--out: %v", err)
	}
	return nil
}

// exported is c as f asks for, and the mode of its file.
func exported(c *corpus.Case, f exportFlags, name string) (string, os.FileMode, error) {
	if f.as == "history" {
		text, err := savedHistory(c, f.run)
		return text, 0o644, err
	}
	p, err := repro.New(c)
	if f.as == "markdown" {
		replay := []string{"replay", name}
		if len(c.Bugs) > 0 {
			replay = append(replay, "--bug", strings.Join(c.Bugs, ","))
		}
		return repro.Markdown(c, sourceOf(c.Signature.Invariant), command(replay...), err), 0o644, nil
	}
	if err != nil {
		return "", 0, usagef("chaos export: %s cannot be written as %s: %v", c.Name, f.as, err)
	}
	switch f.as {
	case "go":
		text, err := p.GoTest()
		return text, 0o644, err
	case "pytest":
		return p.Pytest(), 0o644, nil
	}
	return p.Shell(), 0o755, nil
}

// savedHistory returns the first history of a run that shows what c is about, as it was saved.
func savedHistory(c *corpus.Case, run string) (string, error) {
	runs := []string{run}
	if run == "" {
		runs, _ = filepath.Glob(filepath.Join(defaultOut, "*"))
	} else if _, err := os.Stat(run); err != nil {
		return "", usagef("--run: %v; name the folder of a run", err)
	}
	found := ""
	for _, dir := range runs {
		campaign.ReadFolder(dir, actions.Vocabulary{}, func(s campaign.Saved) {
			if found == "" && s.Verdict != nil && s.Verdict.Has(c.Signature) {
				found = s.Path
			}
		})
	}
	if found == "" {
		where := run
		if where == "" {
			where = defaultOut
		}
		return "", usagef("chaos export: no history in %s shows %s; name the folder of the run that found it with --run, or make one with chaos run --seed", where, c.Signature)
	}
	text, err := os.ReadFile(filepath.Join(found, "history.jsonl"))
	if errors.Is(err, os.ErrNotExist) {
		return "", usagef("chaos export: %v", err)
	}
	return string(text), err
}
