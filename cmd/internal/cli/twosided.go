package cli

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"chaos/cmd/internal/campaign"
	"chaos/cmd/internal/report"
	"chaos/corpus"
	"chaos/corpus/shrink"
	"chaos/stack/embedded/bugs"
	"chaos/stack/live"
)

type twoSidedFlags struct {
	base, candidate, corpus string
	duration                time.Duration
	seed                    int64
	workers                 int
	json                    bool
}

func (a *app) twoSidedCmd() *cobra.Command {
	var f twoSidedFlags
	cmd := &cobra.Command{
		Use: "two-sided [CASE…]", Short: "Prove a fix: the base must fail, the candidate must pass",
		Long: `two-sided replays cases on two stacks. Without a case it first searches the base for one. A stack is
written as for run, in one argument: 'embedded', 'embedded --bug stdout-race', 'embedded --profile serve', or
'http://127.0.0.1:3000/api --key KEY' (or the key in BOXLITE_API_KEY). Exit 0 PASS: the base fails and the candidate passes; 1 FAIL: the
candidate fails; 4 INDETERMINATE: both pass, or the base could not be made to fail.`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.twoSided(cmd.Context(), f, args) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.base, "base", "", "stack that has the bug, e.g. 'embedded --bug stdout-race'")
	fl.StringVar(&f.candidate, "candidate", "", "stack that should not have it, e.g. embedded")
	fl.StringVar(&f.corpus, "corpus", defaultCorpus, "folder of the named cases, where one that was searched for is saved, too")
	fl.DurationVar(&f.duration, "duration", time.Minute, "how long to search the base when no case is named")
	fl.Int64Var(&f.seed, "seed", 1, "seed of that search")
	fl.IntVar(&f.workers, "workers", 3, "runs at once")
	fl.BoolVar(&f.json, "json", false, "print one JSON object")
	return cmd
}

var afterComma = regexp.MustCompile(`,\s+`)

// text is the form that --base and --candidate take, without the key.
func (f *stackFlags) text() string {
	out := f.stack
	if set, err := bugs.Parse(f.bugs); err == nil && len(set) > 0 {
		out += " --bug " + set.String()
	}
	if f.profile != "" {
		out += " --profile " + f.profile
	}
	if f.contract != "" {
		out += " --contract " + f.contract
	}
	return out
}

// parseStack reads the form that --base and --candidate take. Its errors repeat no more of text than
// the stack: the rest may be a key, also where it stands in a wrong place.
func parseStack(flag, text string) (stackFlags, error) {
	var s stackFlags
	if strings.TrimSpace(text) == "" {
		return s, usagef("%s is missing; give a stack, like %s embedded", flag, flag)
	}
	fs := pflag.NewFlagSet(flag, pflag.ContinueOnError)
	fs.Usage = func() {}
	fs.StringVar(&s.bugs, "bug", "", "")
	s.addLive(fs)
	s.addContract(fs)
	// 'embedded --bug a, b' names two bugs.
	words := strings.Fields(afterComma.ReplaceAllString(text, ","))
	if err := fs.Parse(words); err != nil {
		return s, usagef("%s%s: %s", flag, shownStack(words), flagMistake(err))
	}
	s.stack = fs.Arg(0)
	if fs.NArg() != 1 || len(words) > 1 && shownStack([]string{s.stack}) == "" {
		return s, usagef("%s%s: want one stack, embedded or a URL, and then its flags", flag, shownStack(words))
	}
	err := s.settle(func(name string) bool { return name == "stack" || fs.Changed(name) }, os.Getenv)
	if err == nil {
		_, err = s.check()
	}
	if err != nil {
		return s, usagef("%s%s: %v", flag, shownStack(words), err)
	}
	return s, nil
}

// shownStack returns the first of the words that is a stack, for an error message, or "".
func shownStack(words []string) string {
	for _, w := range words {
		if w == "embedded" || strings.Contains(w, "://") {
			return fmt.Sprintf(" %q", live.Shown(w))
		}
	}
	return ""
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
		why := fmt.Sprintf("the base %q did not fail in %s of random plans: search longer with --duration", base.text(), f.duration)
		if f.json {
			return a.jsonProof(base, candidate, nil, corpus.ProofIndeterminate, why)
		}
		fmt.Fprintf(a.out, "%s  %s\n", corpus.ProofIndeterminate, why)
		return exit(ExitInconclusive)
	}
	return a.proveFix(ctx, f, base, candidate, cases, len(names) == 0)
}

// searchBase finds and shrinks one failure of the base.
func (a *app) searchBase(ctx context.Context, f twoSidedFlags, base stackFlags) ([]*corpus.Case, error) {
	if err := usableFolder("--corpus", f.corpus); err != nil {
		return nil, err
	}
	store, err := openCorpus(a, f.corpus)
	if err != nil {
		return nil, err
	}
	st, err := base.open(ctx)
	if err != nil {
		return nil, err
	}
	defer st.close()
	a.works(st)
	defer a.tellGivenUp(st)
	ctx = st.ctx
	began, show := time.Now(), &baseSearch{stats: &campaign.Stats{}, on: st.target.Describe()}
	stop := a.line.show(func() string { return report.Clock(time.Since(began)) + " · " + show.line() })
	defer stop()
	c := &campaign.Campaign{Rig: st.rig, Store: store, Events: show, Stats: show.stats, Build: st.target.Describe(), Bugs: bugList(base.bugs), Excerpt: report.Excerpt,
		Config: campaign.Config{Seed: f.seed, Duration: f.duration, Workers: f.workers, FailFast: true, Shrink: campaign.ShrinkConfig{Budget: f.duration, Parallel: f.workers}}}
	findings, err := c.Run(ctx)
	stop()
	if err == nil && len(findings) == 0 && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil || len(findings) == 0 {
		return nil, err
	}
	found := findings[0]
	cs, how := found.Case, "added"
	if kept, ok := store.Find(cs.Finding()); ok && found.Added == corpus.Duplicate {
		cs, how = kept, "a finding already in the corpus (kept: "+kept.Name+")"
	}
	if !f.json {
		fmt.Fprintf(a.out, "the base fails: %s\n  saved    %s: %s\n", found.Violation.Signature, quote(found.Path), how)
		printCase(a.out, cs)
	}
	return []*corpus.Case{cs}, nil
}

// baseSearch is the progress of a search of the base. It implements campaign.Events.
type baseSearch struct {
	campaign.Quiet
	stats *campaign.Stats
	on    string // the base
	doing atomic.Pointer[string]
}

func (b *baseSearch) line() string {
	if doing := b.doing.Load(); doing != nil {
		return *doing + " on " + b.on
	}
	return fmt.Sprintf("searching the base %s for a failure · %s", b.on, report.Count(b.stats.Snapshot().Plans, "plan"))
}

// Found implements campaign.Events.
func (b *baseSearch) Found(f campaign.Failure) {
	b.doing.Store(new(fmt.Sprintf("shrinking: a failure of %s", report.Count(len(f.Plan.Steps), "step"))))
}

// Better implements campaign.Events.
func (b *baseSearch) Better(f campaign.Failure, p shrink.Progress) {
	b.doing.Store(new(shrinking(len(f.Plan.Steps), p)))
}

// proof is the verdict on one case.
type proof struct {
	Case      string       `json:"case"`
	Proof     corpus.Proof `json:"proof"`
	Why       string       `json:"why"`
	Base      jsonReport   `json:"base"`
	Candidate jsonReport   `json:"candidate"`
}

// proveFix replays the cases on both stacks and prints one verdict each. searched tells that nobody
// named them.
func (a *app) proveFix(ctx context.Context, f twoSidedFlags, base, candidate stackFlags, cases []*corpus.Case, searched bool) error {
	var sides [2][]replayed
	for i, s := range []stackFlags{base, candidate} {
		rf := replayFlags{stackFlags: s, parallel: f.workers}
		sides[i] = make([]replayed, len(cases))
		if err := a.replayOn(ctx, rf, cases, func(n int, r replayed) { sides[i][n] = r }); err != nil {
			return err
		}
	}
	var proofs []proof
	worst := corpus.ProofPass
	for i, c := range cases {
		p, why := corpus.TwoSided(sides[0][i].Report, sides[1][i].Report)
		proofs = append(proofs, proof{c.Name, p, why, jsonOf(sides[0][i]), jsonOf(sides[1][i])})
		if p == corpus.ProofFail || worst == corpus.ProofPass {
			worst = p
		}
		if !f.json {
			fmt.Fprintf(a.out, "%s  %s: %s\n", p, c.Name, why)
		}
	}
	if f.json {
		return a.jsonProof(base, candidate, proofs, worst, "")
	}
	if searched {
		a.printCommand("again", f.againCommand(base, candidate, cases[0].Name), cmp.Or(base.keyNeeded(), candidate.keyNeeded()))
	}
	return proofExit(worst)
}

// againCommand is what to type to prove the same once more.
func (f *twoSidedFlags) againCommand(base, candidate stackFlags, name string) string {
	args := []string{"two-sided", "--base", base.text(), "--candidate", candidate.text()}
	if f.corpus != defaultCorpus {
		args = append(args, "--corpus", f.corpus)
	}
	return command(append(args, name)...)
}

func (a *app) jsonProof(base, candidate stackFlags, proofs []proof, worst corpus.Proof, why string) error {
	if proofs == nil {
		proofs = []proof{}
	}
	err := writeJSON(a.out, map[string]any{"base": base.text(), "candidate": candidate.text(), "cases": proofs, "proof": worst, "why": why})
	if err != nil {
		return err
	}
	return proofExit(worst)
}

// proofExit is the exit code that stands for p, as an error.
func proofExit(p corpus.Proof) error {
	switch p {
	case corpus.ProofPass:
		return nil
	case corpus.ProofFail:
		return exit(ExitViolation)
	}
	return exit(ExitInconclusive)
}
