package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"chaos/actions"
	"chaos/cmd/internal/campaign"
	"chaos/cmd/internal/report"
	"chaos/corpus"
	"chaos/stack/embedded/bugs"
)

type proveFlags struct {
	seeds, parallel, workers int
	first                    int64
	budget, shrink           time.Duration
	duration                 time.Duration
	bugs, corpus             string
	contractFlags
	markdown, jsonFile, into string
	log                      string
}

func (a *app) proveCmd() *cobra.Command {
	var f proveFlags
	cmd := &cobra.Command{
		Use: "prove", Short: "Prove that the seeded bugs are found, shrunk, and told from the clean stack", Args: argCount(0, 0, ""),
		Long: `prove takes each seeded bug and each seed: it starts a stack with the bug, searches with random plans
for at most --budget, shrinks the first finding, and replays the case on the stack with the bug (must
fail) and on the clean one (must pass). It prints one row a bug and marks rows that fall short. With
--into, the rows replace those of the same bugs between the lines "<!-- record -->" and
"<!-- end of record -->" of a file, and the others stay.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.prove(cmd.Context(), f) },
	}
	fl := cmd.Flags()
	fl.IntVar(&f.seeds, "seeds", 10, "random seeds for each bug")
	fl.Int64Var(&f.first, "seed", 1, "first seed")
	fl.DurationVar(&f.duration, "duration", 0, "begin no trial after this long; seeds that no bug has had are left out (default none)")
	fl.DurationVar(&f.budget, "budget", time.Minute, "longest search for each bug and seed")
	fl.DurationVar(&f.shrink, "shrink-budget", 90*time.Second, "longest time to shrink each finding")
	fl.IntVar(&f.parallel, "parallel", 2, "trials at once, each on a stack of its own")
	fl.IntVar(&f.workers, "workers", 3, "plans in flight at once in each trial")
	fl.StringVar(&f.bugs, "bug", "", "only these seeded bugs, comma-separated; chaos bugs lists them (default all)")
	f.addContract(fl)
	fl.StringVar(&f.corpus, "corpus", "", "folder to save the best case of each finding in (default none)")
	fl.StringVar(&f.markdown, "markdown", "", "file to write the table to, as Markdown")
	fl.StringVar(&f.into, "into", "", "Markdown file whose record to bring up to date, like README.md")
	fl.StringVar(&f.log, "log", "", "file to append each trial to as it ends, as a line of JSON; what is in it already is counted and not done again")
	fl.StringVar(&f.jsonFile, "json-file", "", "file to write rows and trials to, as JSON")
	return cmd
}

func (f *proveFlags) check() ([]bugs.Bug, error) {
	switch {
	case f.seeds < 1:
		return nil, usagef("--seeds %d: want 1 or more", f.seeds)
	case f.budget <= 0:
		return nil, usagef("--budget %s: want a time like 60s", f.budget)
	case f.duration < 0:
		return nil, usagef("--duration %s is negative; give a time like 1h", f.duration)
	case f.shrink < 0:
		return nil, usagef("--shrink-budget %s is negative", f.shrink)
	case f.parallel < 1 || f.parallel > 32:
		return nil, usagef("--parallel %d: want 1 to 32", f.parallel)
	case f.workers < 1 || f.workers > 64:
		return nil, usagef("--workers %d: want 1 to 64", f.workers)
	}
	set, err := bugs.Parse(f.bugs)
	if err != nil {
		return nil, usagef("--bug: %v", err)
	}
	var out []bugs.Bug
	for _, b := range bugs.All() {
		if f.bugs != "" && !set.Has(b.ID) || f.bugs == "" && b.Needs != "" { // random plans have no faults unless asked for
			continue
		}
		if _, err := f.resolve(true, bugs.Set{b.ID: true}); err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// checkPlaces checks, before hours of work, that its results can be written.
func (f *proveFlags) checkPlaces() error {
	if f.corpus != "" {
		if err := usableFolder("--corpus", f.corpus); err != nil {
			return err
		}
	}
	if f.markdown != "" {
		if err := usableFile("--markdown", f.markdown); err != nil {
			return err
		}
	}
	if f.into != "" {
		if _, err := readRecord(f.into); err != nil {
			return err
		}
	}
	if f.jsonFile != "" {
		return usableFile("--json-file", f.jsonFile)
	}
	return nil
}

func (a *app) prove(ctx context.Context, f proveFlags) error {
	list, err := f.check()
	if err != nil {
		return err
	}
	if err := f.checkPlaces(); err != nil {
		return err
	}
	var store *corpus.Store
	if f.corpus != "" {
		if store, err = openCorpus(a, f.corpus); err != nil {
			return err
		}
	}
	log, err := openTrialLog(f.log)
	if err != nil {
		return err
	}
	defer log.close()
	var clean cleanStacks
	defer clean.close()
	began := time.Now()
	trials := a.trials(ctx, f, list, &clean, store, log)
	var rows []campaign.Row
	for _, b := range list {
		if len(trials[b.ID]) == 0 {
			continue // interrupted before its turn
		}
		r := campaign.SumUp(string(b.ID), b.Reference, trials[b.ID])
		if c, err := corpus.Known(r.Bug, actions.Vocabulary{}); err != nil {
			return err
		} else if c != nil {
			r.Known = len(c.Plan.Steps)
		}
		rows = append(rows, r)
	}
	fmt.Fprintln(a.out)
	report.ProofText(a.out, rows)
	report.ProofTotal(a.out, rows)
	fmt.Fprintf(a.out, "%s, %s each at most, %s, %s\n", report.Count(len(list), "bug"), report.Count(f.seeds, "seed"), time.Since(began).Round(time.Second), version())
	if err := writeProof(f, rows, trials); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, r := range rows {
		if len(r.Short()) > 0 {
			return exit(ExitViolation)
		}
	}
	return nil
}

// trials performs all trials, a few at once, and says how each went.
func (a *app) trials(ctx context.Context, f proveFlags, list []bugs.Bug, clean *cleanStacks, store *corpus.Store, log *trialLog) map[bugs.ID][]campaign.Trial {
	type job struct {
		bug  bugs.ID
		seed int64
	}
	jobs := make(chan job)
	go func() {
		defer close(jobs)
		late := ctx
		if f.duration > 0 {
			var cancel context.CancelFunc
			late, cancel = context.WithTimeout(ctx, f.duration)
			defer cancel()
		}
		// Seed by seed, so that whoever ends it early has seen every bug equally often.
		for i := range f.seeds {
			for _, b := range list {
				if log.has(b.ID, f.first+int64(i)) {
					continue
				}
				select {
				case jobs <- job{b.ID, f.first + int64(i)}:
				case <-late.Done():
					return
				}
			}
		}
	}()
	out := log.trials(list)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range f.parallel {
		wg.Go(func() {
			for j := range jobs {
				t := f.trial(ctx, j.bug, j.seed, clean)
				if ctx.Err() != nil {
					return // broken off: it says nothing
				}
				mu.Lock()
				if store != nil && t.Case != nil {
					if _, _, err := store.Add(t.Case); err != nil {
						t.Error = err.Error()
					}
				}
				if err := log.add(t); err != nil {
					t.Error = cmp.Or(t.Error, err.Error())
				}
				out[j.bug] = append(out[j.bug], t)
				fmt.Fprintln(a.err, report.TrialLine(t))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return out
}

// trial performs one trial on a stack of its own.
func (f *proveFlags) trial(ctx context.Context, bug bugs.ID, seed int64, clean *cleanStacks) campaign.Trial {
	t := campaign.Trial{Bug: string(bug), Seed: seed}
	if info, ok := debug.ReadBuildInfo(); ok {
		t.Program = commitOf(info)
	}
	set := bugs.Set{bug: true}
	contract, err := f.resolve(true, set)
	if err != nil {
		t.Error = err.Error()
		return t
	}
	rig, err := clean.rig(ctx, contract)
	if err != nil {
		t.Error = err.Error()
		return t
	}
	b, _ := bugs.Get(bug)
	st, err := openEmbedded(ctx, set, contract, b.Needs == scheduled)
	if err != nil {
		t.Error = err.Error()
		return t
	}
	defer st.close()
	cfg := campaign.Config{Duration: f.budget, Workers: f.workers, Schedule: b.Needs == scheduled, Faults: faultsFor(b), Shrink: campaign.ShrinkConfig{Budget: f.shrink, Parallel: shrinkParallel(f.workers)}}
	t = campaign.Try(st.ctx, st.rig, rig, t, cfg, st.target.Describe(), report.Excerpt)
	var dead *deadStack
	if errors.As(context.Cause(st.ctx), &dead) {
		t.Error = dead.Error()
	}
	return t
}

func writeProof(f proveFlags, rows []campaign.Row, trials map[bugs.ID][]campaign.Trial) error {
	if f.markdown != "" {
		var b strings.Builder
		report.ProofMarkdown(&b, rows, nil)
		if err := os.WriteFile(f.markdown, []byte(b.String()), 0o644); err != nil {
			return usagef("--markdown: %v", err)
		}
	}
	if f.into != "" {
		if err := updateRecord(f.into, rows); err != nil {
			return err
		}
	}
	if f.jsonFile != "" {
		b, err := json.MarshalIndent(map[string]any{"rows": rows, "trials": trials}, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(f.jsonFile, append(b, '\n'), 0o644); err != nil {
			return usagef("--json-file: %v", err)
		}
	}
	return nil
}
