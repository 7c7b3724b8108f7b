package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"chaos/actions"
	"chaos/cmd/internal/campaign"
	"chaos/cmd/internal/report"
	"chaos/corpus"
	"chaos/invariants"
	"chaos/model"
)

func (a *app) reportCmd() *cobra.Command {
	return &cobra.Command{
		Use: "report RUN_DIR", Short: "Make the page of a run again", Args: argCount(1, 1, "the folder of one run"),
		Long: `report writes report.html into the folder of a run: one page that needs no network. It is made of the
run's summary.json, or, where a run has left none, of the histories in the folder, which are judged.`,
		RunE: func(_ *cobra.Command, args []string) error {
			p, err := runPage(args[0])
			if err != nil {
				return err
			}
			if err := report.WritePage(args[0], p); err != nil {
				return err
			}
			fmt.Fprintln(a.out, "wrote "+quote(filepath.Join(args[0], report.PageFile)))
			return nil
		},
	}
}

// runPage returns the page of the run in dir.
func runPage(dir string) (*report.Page, error) {
	if st, err := os.Stat(dir); err != nil {
		return nil, usagef("chaos report: %v", err)
	} else if !st.IsDir() {
		return nil, usagef("chaos report: %s is a file; name the folder of a run", dir)
	}
	p, err := report.LoadPage(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return judgedPage(dir)
	}
	if err != nil {
		return nil, usagef("chaos report: %v", err)
	}
	return p, nil
}

// judgedPage makes the page of a run that has left no summary: it was killed, or is still going on.
func judgedPage(dir string) (*report.Page, error) {
	info, err := runInfo(dir)
	if err != nil {
		return nil, err
	}
	p := &report.Page{Began: info.Began, Stack: info.Stack, Seed: info.Seed, Chaos: info.Chaos, Exit: ExitInconclusive, Again: command("judge", dir)}
	stats, known := &campaign.Stats{}, map[model.Signature]bool{}
	var unknown error
	errs := campaign.ReadFolder(dir, actions.Vocabulary{}, func(s campaign.Saved) {
		contract, err := s.History.Meta.Contract()
		if err != nil {
			unknown = usagef("chaos report: %s: %v", s.Path, err)
			return
		}
		v := invariants.Judge(s.History, contract)
		stats.Add(s.History, v)
		for _, x := range v.Violations {
			if known[x.Signature] {
				continue
			}
			known[x.Signature] = true
			f := report.NewPageFinding(x, s.History.Plan, s.History)
			f.History = filepath.Base(s.Path)
			p.Findings = append(p.Findings, f)
		}
	})
	if unknown != nil {
		return nil, unknown
	}
	p.Counts, p.Coverage, p.Series = stats.Snapshot(), stats.Coverage(), stats.Series()
	if len(errs) > 0 {
		p.Error = fmt.Sprintf("%s could not be read; the first: %s", report.Count(len(errs), "history", "histories"), oneLine(errs[0]))
	}
	if p.Counts.Plans == 0 && len(errs) == 0 {
		return nil, usagef("chaos report: no history in %s; name the folder that chaos run --out made", dir)
	}
	p.Claim = fmt.Sprintf("nothing: the run has left no summary; this is of %s in its folder", report.Count(p.Counts.Plans, "history", "histories"))
	if n := len(p.Findings); n > 0 {
		p.Claim = fmt.Sprintf("%s in %s of a run that has left no summary", report.Count(n, "finding"), report.Count(p.Counts.Plans, "history", "histories"))
	}
	return p, nil
}

// runInfo reads what a run folder says of its run; a folder that says nothing is of an older program.
func runInfo(dir string) (campaign.RunInfo, error) {
	var info campaign.RunInfo
	path := filepath.Join(dir, "run.json")
	data, err := corpus.ReadRegular(path, "run", corpus.MaxSize)
	if errors.Is(err, fs.ErrNotExist) {
		return info, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &info)
	}
	if err != nil {
		return info, usagef("chaos report: %s: %v", path, err)
	}
	return info, nil
}

// page is the page of a run that has just ended.
func (s *summary) page(f runFlags, folder *campaign.Folder, began campaign.RunInfo, series campaign.Series) *report.Page {
	p := &report.Page{Began: began.Began, Stack: began.Stack, Chaos: began.Chaos, Seed: f.seed, Took: s.took, Claim: s.claim(), Exit: s.code(), JudgedBy: f.judgedBy(),
		Again: command("judge", s.folder), Counts: s.stats, Coverage: s.coverage, Weak: s.weak(), Unproven: campaign.Unproven(s.stats), Series: series}
	if s.err != nil {
		p.Error = oneLine(s.err)
	}
	for _, x := range s.findings {
		v, plan, h := x.Violation, x.Plan, x.History
		if x.Small != nil {
			v, plan, h = *x.Small, x.Case.Plan, x.SmallHistory
		}
		e := report.NewPageFinding(v, plan, h)
		e.History = folder.Name(x.History)
		if x.Case != nil {
			e.Shrunk = x.Case.Shrunk
			if x.Case.Certificate.Runs > 0 {
				e.Rate = x.Case.Certificate.String()
			}
			for _, extra := range x.Case.Extra {
				if extra.Key == "also" {
					e.Also = append(e.Also, extra.Value)
				}
			}
		}
		if x.Path != "" {
			e.Case, e.Replay, e.Needs = x.Path, f.replayCommand(x.Name()), f.keyNeeded()
		}
		p.Findings = append(p.Findings, e)
	}
	return p
}
