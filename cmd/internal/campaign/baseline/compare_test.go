package baseline

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/cmd/internal/campaign"
	"chaos/model"
	"chaos/stack/embedded"
	"chaos/stack/embedded/bugs"
	"chaos/stack/embedded/child"
)

var (
	compare = flag.Bool("compare", false, "run the comparison")
	seeds   = flag.Int("seeds", 3, "seeds for each bug and tester")
	budget  = flag.Duration("budget", 15*time.Second, "longest search, and longest shrinking, of a trial")
	only    = flag.String("bugs", defaultBugs, "seeded bugs to compare by, comma-separated")
	atOnce  = flag.Int("at-once", 3, "trials at once, each on a stack of its own")
	workers = flag.Int("workers", 3, "runs at once while a trial searches")
	clean   = flag.Duration("clean", time.Second, "how long each test runs on the clean stack, under either answer to an exec on a stopped box")
)

// defaultBugs can all be seen by what the plain tests look at: deterministic ones, then races. They were
// written by people who knew this list, as the invariants were.
const defaultBugs = "size-coerced,code-mismatch,stopped-500,refused-create-leaves-row,env-bleed,reconciler-stops-again," +
	"stdout-race,attach-loss,name-race,stop-exec-orphan,removed-exec-500,output-bleed"

// syncInterval is that of chaos run and chaos prove.
const syncInterval = 15 * time.Millisecond

func TestMain(m *testing.M) {
	child.Dispatch()
	flag.Parse()
	os.Exit(m.Run())
}

// testers are what is compared, in the order of the table.
var testers = []struct {
	name string
	hunt func(t *testing.T, name string, target *embedded.Target, l limits) outcome
}{
	{"chaos", chaosHunt},
	{"rapid, one at a time", rapidHunt(1)},
	{"rapid, up to 4 at once", rapidHunt(4)},
}

func rapidHunt(together int) func(*testing.T, string, *embedded.Target, limits) outcome {
	return func(t *testing.T, name string, target *embedded.Target, l limits) outcome {
		h := &hunt{t: t, name: fmt.Sprintf("rapid%d-%s-%d", together, name, l.seed), target: target, autostart: autostarts(target.Flags()), together: together, limits: l}
		return h.search()
	}
}

// chaosHunt searches and shrinks as chaos prove does, and performs the plan of the case again.
func chaosHunt(t *testing.T, _ string, target *embedded.Target, l limits) outcome {
	rig, err := campaign.NewRig(target)
	if err != nil {
		return outcome{err: err}
	}
	defer rig.Close()
	stats := &campaign.Stats{}
	c := &campaign.Campaign{Rig: rig, Events: campaign.Quiet{}, Stats: stats, Excerpt: func(*model.History, model.Violation) []string { return nil },
		Config: campaign.Config{Seed: l.seed, Duration: l.budget, Workers: l.workers, FailFast: true, Shrink: campaign.ShrinkConfig{Budget: l.shrink, Parallel: 2 * l.workers}}}
	findings, err := c.Run(t.Context())
	out := outcome{err: err, tried: stats.Snapshot().Plans}
	if len(findings) == 0 {
		return out
	}
	f := findings[0]
	out.found, out.problem, out.after = true, f.Violation.Signature.String(), f.After
	out.before, out.steps = len(f.Plan.Steps), len(f.Case.Plan.Steps)
	for range l.again {
		_, v, err := rig.Perform(t.Context(), f.Case.Plan, 0)
		if err != nil {
			out.err = err
			return out
		}
		out.runs++
		if len(v.Violations) > 0 {
			out.failures++
		}
	}
	return out
}

// onBug gives a stack with a bug to what.
func onBug(t *testing.T, bug bugs.ID, what func(*embedded.Target) outcome) outcome {
	set := bugs.Set{bug: true}
	flags, err := bugs.Contract(set)
	if err != nil {
		return outcome{err: err}
	}
	return onStack(t, embedded.Options{Bugs: set, Flags: flags, SyncInterval: syncInterval}, what)
}

func onStack(t *testing.T, opt embedded.Options, what func(*embedded.Target) outcome) outcome {
	s, err := embedded.Start(t.Context(), opt)
	if err != nil {
		return outcome{err: err}
	}
	target := embedded.NewTarget(s)
	defer func() {
		target.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_ = s.Stop(ctx)
	}()
	return what(target)
}

// setUp sets rapid's flags, and makes a place for its fail files.
func setUp(t *testing.T, shrink time.Duration) {
	t.Chdir(t.TempDir())
	setFlag("checks", "1000000000")
	setFlag("shrinktime", shrink.String())
}

// TestCompare prints the table. It takes long, so it has to be asked for.
func TestCompare(t *testing.T) {
	if !*compare {
		t.Skip("takes long; make compare runs it")
	}
	set, err := bugs.Parse(*only)
	require.NoError(t, err)
	setUp(t, *budget)
	trials := plan(set)
	began := time.Now()
	perform(t, trials)
	printTable(trials)
	fmt.Printf("\n%d seeds, %s to search and %s to shrink each, %d runs at once, %d trials at once, %s in all.\n",
		*seeds, *budget, *budget, *workers, *atOnce, time.Since(began).Round(time.Second))
}

// trial is one tester's try at one bug.
type trial struct {
	bug    bugs.ID
	seed   int64
	tester int
	out    outcome
}

// plan lists the trials so that the testers take turns: what the machine does besides hits all alike.
func plan(set bugs.Set) []*trial {
	var out []*trial
	for s := range *seeds {
		for _, b := range bugs.All() {
			for k := range testers {
				if set.Has(b.ID) && b.Needs == "" {
					out = append(out, &trial{bug: b.ID, seed: int64(s + 1), tester: k})
				}
			}
		}
	}
	return out
}

func perform(t *testing.T, trials []*trial) {
	next := make(chan *trial)
	var wg sync.WaitGroup
	for range *atOnce {
		wg.Go(func() {
			for x := range next {
				l := limits{seed: x.seed, workers: *workers, budget: *budget, shrink: *budget, again: 20}
				x.out = onBug(t, x.bug, func(target *embedded.Target) outcome { return testers[x.tester].hunt(t, string(x.bug), target, l) })
				t.Logf("%s, seed %d, %s: %s · %s", x.bug, x.seed, testers[x.tester].name, cell([]outcome{x.out}), x.out.problem)
				if x.out.err != nil {
					t.Errorf("%s, seed %d, %s: %v", x.bug, x.seed, testers[x.tester].name, x.out.err)
				}
			}
		})
	}
	for _, x := range trials {
		next <- x
	}
	close(next)
	wg.Wait()
}

// printTable prints a row a bug and a column a tester.
func printTable(trials []*trial) {
	head := "| bug |"
	for _, k := range testers {
		head += " " + k.name + " |"
	}
	fmt.Printf("\n%s\n|---|%s\n", head, strings.Repeat("---|", len(testers)))
	row := func(name string, of func(*trial) bool) {
		line := "| " + name + " |"
		for k := range testers {
			var outs []outcome
			for _, x := range trials {
				if x.tester == k && of(x) {
					outs = append(outs, x.out)
				}
			}
			line += " " + cell(outs) + " |"
		}
		fmt.Println(line)
	}
	for i, x := range trials {
		// Each seed has the bugs in the same order.
		if x.seed == trials[0].seed && i%len(testers) == 0 {
			row(string(x.bug), func(y *trial) bool { return y.bug == x.bug })
		}
	}
	row("all", func(*trial) bool { return true })
}

// cell sums up the trials of one bug by one tester: found in how many, median time to the first failure,
// median steps before and after shrinking, and how often what is left fails when it is run again.
func cell(outs []outcome) string {
	var after []time.Duration
	var before, steps []int
	failures, runs := 0, 0
	for _, o := range outs {
		if !o.found {
			continue
		}
		after, before, steps = append(after, o.after), append(before, o.before), append(steps, o.steps)
		failures, runs = failures+o.failures, runs+o.runs
	}
	out := fmt.Sprintf("%d of %d", len(after), len(outs))
	if len(after) == 0 {
		return out
	}
	slices.Sort(after)
	slices.Sort(before)
	slices.Sort(steps)
	mid := (len(after) - 1) / 2
	return out + fmt.Sprintf(" · %.1f s · %d → %d · %d %%", after[mid].Seconds(), before[mid], steps[mid], 100*failures/max(1, runs))
}
