package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"chaos/actions"
	_ "chaos/actions/faults"
	"chaos/cmd/internal/campaign"
	"chaos/cmd/internal/report"
	"chaos/corpus"
	"chaos/stack/embedded/bugs"
)

// Places, relative to where the program is started.
const (
	defaultCorpus = "chaos-corpus"
	defaultOut    = "chaos-out"
)

type runFlags struct {
	stackFlags
	duration, budget  time.Duration
	plans, clients    int
	workers, steps    int
	seed              int64
	corpus, out       string
	json, quiet, fast bool
	messages, faults  string
	faultList         []string
	noShrink          bool
	service           bool
	metrics           string
	report, reportDir string
	formats           []string // of report
}

func (a *app) runCmd() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use: "run", Short: "Search for bugs, shrink and save what is found", Args: argCount(0, 0, ""),
		Long: `run draws random plans, performs them against the stack and judges what came back. Each finding is
shrunk and saved at once; then the search goes on until the time is over. Exit 1 if anything was found.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("seed") {
				f.seed = rand.Int64N(1 << 31)
			}
			if err := f.zero(cmd.Flags().Changed); err != nil {
				return err
			}
			f.service = f.service || underSystemd()
			return a.run(cmd.Context(), f)
		},
	}
	f.add(cmd)
	fl := cmd.Flags()
	fl.DurationVar(&f.duration, "duration", 0, "how long to search; what is found is still shrunk after it, for --shrink-budget at most (default 1m when --plans is not given either)")
	fl.IntVar(&f.plans, "plans", 0, "how many plans to perform, instead of or besides --duration")
	fl.Int64Var(&f.seed, "seed", 0, "seed of the campaign: the same plans in the same order (default random, and printed)")
	fl.IntVar(&f.clients, "clients", 0, "clients in each plan, 1 to 6 (default drawn, 2 to 6)")
	fl.IntVar(&f.steps, "max-steps", 60, "most steps in a plan")
	fl.StringVar(&f.messages, "schedule", "off", "on: hold, reorder and cut messages between client, API and runner, as each plan says")
	fl.StringVar(&f.faults, "faults", "", "break parts of the stack on purpose, one plan at a time: all, or some of "+strings.Join(faultNames(), ", ")+"; each is undone")
	fl.IntVar(&f.workers, "workers", 3, "plans in flight at once, on boxes of their own")
	fl.StringVar(&f.corpus, "corpus", defaultCorpus, "folder where findings are saved as cases")
	fl.StringVar(&f.out, "out", "", "run folder for histories (default a new one below "+defaultOut+")")
	fl.DurationVar(&f.budget, "shrink-budget", 2*time.Minute, "longest time to shrink one finding")
	fl.BoolVar(&f.noShrink, "no-shrink", false, "save findings as they are found")
	fl.BoolVar(&f.fast, "fail-fast", false, "end after the first finding")
	fl.StringVar(&f.report, "report", "", "write reports too, comma-separated: "+strings.Join(runFormats(), ", "))
	fl.StringVar(&f.reportDir, "report-dir", "", "folder for reports (default the run folder)")
	fl.BoolVar(&f.json, "json", false, "print the summary as one JSON object on stdout")
	fl.BoolVar(&f.service, "service", false, "search until SIGTERM, as a service of systemd of Type=notify (default when systemd asks to be notified)")
	fl.StringVar(&f.metrics, "metrics", "", "address of this machine on which Prometheus may read numbers, like 127.0.0.1:9095")
	fl.BoolVar(&f.quiet, "quiet", false, "no progress, only findings and one last line")
	return cmd
}

// zero refuses a 0 that was given: it would mean what leaving the flag out does, not what it says.
func (f *runFlags) zero(given func(flag string) bool) error {
	switch {
	case given("duration") && f.duration == 0:
		return usagef("--duration 0s: want a time like 30m")
	case given("plans") && f.plans == 0:
		return usagef("--plans 0: want 1 or more")
	case given("clients") && f.clients == 0:
		return usagef("--clients 0: want 1 to 6")
	}
	return nil
}

func (f *runFlags) check() error {
	switch {
	case f.duration < 0:
		return usagef("--duration %s is negative; give a time like 30m", f.duration)
	case f.plans < 0:
		return usagef("--plans %d is negative", f.plans)
	case f.clients < 0 || f.clients > 6:
		return usagef("--clients %d: want 1 to 6", f.clients)
	case f.steps < 4 || f.steps > 200:
		return usagef("--max-steps %d: want 4 to 200", f.steps)
	case f.workers < 1 || f.workers > 64:
		return usagef("--workers %d: want 1 to 64", f.workers)
	case f.budget < 0:
		return usagef("--shrink-budget %s is negative", f.budget)
	}
	switch f.messages {
	case "on":
		f.schedule = true
	case "", "off":
	default:
		return usagef("--schedule %s: want on or off", f.messages)
	}
	var err error
	if f.formats, err = parseFormats(f.report, runFormats()); err != nil {
		return err
	}
	if f.reportDir != "" && len(f.formats) == 0 {
		return usagef("--report-dir says where, but nothing says what; name formats with --report")
	}
	if f.json && slices.Contains(f.formats, "github") {
		return usagef("--report github and --json both write to stdout; leave one out")
	}
	if f.faultList, err = parseFaults(f.faults); err != nil {
		return err
	}
	f.broken = strings.Join(f.faultList, ",")
	if len(f.faultList) > 0 && f.stack != "embedded" && f.control == "" {
		return usagef("--faults needs --control unit:api=NAME,runner=NAME on a stack given by URL")
	}
	if err := checkMetrics(f.metrics); err != nil {
		return err
	}
	if f.duration == 0 && f.plans == 0 && !f.service {
		f.duration = time.Minute
	}
	_, err = f.stackFlags.check()
	return err
}

func (a *app) run(ctx context.Context, f runFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	if err := usableFolder("--corpus", f.corpus); err != nil {
		return err
	}
	if err := usableFolder("--out", cmp.Or(f.out, defaultOut)); err != nil {
		return err
	}
	if err := campaign.Vacant(f.out); err != nil {
		return usagef("--out: %v", err)
	}
	store, err := openCorpus(a, f.corpus)
	if err != nil {
		return err
	}
	st, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer st.close()
	a.works(st)
	// Only now: a stack that cannot be had leaves no empty folder behind.
	info := campaign.RunInfo{Began: time.Now().UTC(), Stack: st.target.Describe(), Seed: f.seed, Chaos: version()}
	folder, err := openRunFolder(f.out, info)
	if err != nil {
		return err
	}
	st.rig.Save = folder.Save
	ctx = st.ctx

	began := time.Now()
	stats := &campaign.Stats{}
	show := newProgress(a, f, stats, began)
	show.folder = folder
	var events campaign.Events = show
	if f.metrics != "" {
		at, stop, err := serveMetrics(f.metrics, show, st)
		if err != nil {
			return err
		}
		defer stop()
		st.notes = append(st.notes, "metrics: "+at)
	}
	show.start(st)
	if f.service {
		s := serveSystemd(show, st)
		defer s.close()
		events = s
	}
	c := &campaign.Campaign{Rig: st.rig, Store: store, Events: events, Stats: stats, Build: st.target.Describe(), Bugs: bugList(f.bugs), Excerpt: report.Excerpt,
		Config: campaign.Config{Seed: f.seed, Duration: f.duration, Plans: f.plans, Workers: f.workers, Clients: f.clients, MaxSteps: f.steps, FailFast: f.fast, Schedule: f.schedule, Faults: f.faultList,
			Shrink: campaign.ShrinkConfig{Budget: f.budget, Parallel: shrinkParallel(f.workers), Off: f.noShrink}}}
	findings, err := c.Run(ctx)
	show.stop()
	var dead *deadStack
	if errors.As(context.Cause(ctx), &dead) {
		err = dead
	}
	end := summary{stats: stats.Snapshot(), coverage: stats.Coverage(), findings: findings, folder: folder.Dir(), took: time.Since(began), stack: st, err: err, givenUp: st.rig.GivenUp(), interrupted: ctx.Err() != nil && dead == nil}
	// What cannot be written is missing from the folder but changes nothing of what was found.
	if err := report.SavePage(folder.Dir(), end.page(f, folder, info, stats.Series())); err != nil {
		a.complain(fmt.Errorf("write the page: %w", err))
	}
	return a.summary(f, end)
}

// openCorpus opens the folder of cases and says what in it cannot be read; that does no harm to the rest.
func openCorpus(a *app, dir string) (*corpus.Store, error) {
	store, err := corpus.Open(dir, actions.Vocabulary{})
	if err != nil {
		return nil, usagef("--corpus: %v", err)
	}
	for _, b := range store.Broken() {
		fmt.Fprintln(a.err, "chaos: skipped a case: "+oneLine(b))
	}
	return store, nil
}

// openRunFolder claims the folder that was asked for, or makes one that no other run has.
func openRunFolder(dir string, info campaign.RunInfo) (*campaign.Folder, error) {
	fresh := filepath.Join(defaultOut, fmt.Sprintf("%s-seed-%d", time.Now().Format("20060102-150405"), info.Seed))
	for n := 1; ; n++ {
		try := dir
		if try == "" && n == 1 {
			try = fresh
		} else if try == "" {
			try = fmt.Sprintf("%s.%d", fresh, n)
		}
		folder, err := campaign.OpenFolder(try, info)
		var taken *campaign.TakenError
		switch {
		case dir == "" && errors.As(err, &taken):
			continue
		case err != nil:
			return nil, usagef("--out: %v", err)
		}
		return folder, nil
	}
}

func bugList(list string) []string {
	set, err := bugs.Parse(list)
	if err != nil || len(set) == 0 {
		return nil
	}
	return strings.Split(set.String(), ",")
}

// shrinkParallel is how many runs the shrinker has under way: most of a small plan is waiting, and a
// plan that hangs is nothing else.
func shrinkParallel(workers int) int { return 2 * workers }
