package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"chaos/cmd/internal/doctor"
	"chaos/cmd/internal/report"
	"chaos/model"
	"chaos/stack/live"
)

func (a *app) doctorCmd() *cobra.Command {
	var f stackFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use: "doctor", Short: "Say whether a stack can be tested, which contract it keeps, and which answers contradict the others", Args: argCount(0, 0, ""),
		Long: `doctor asks a stack with a handful of boxes of its own, which it removes again, and says which profile
and flags fit and which answers contradict each of the others. With --profile it looks at that one only.
Of a stack given by URL it says besides whether everything is there that a run needs, and what to do if not.
Exit 0 if one fits, 1 if none does, 3 if something else is bad.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.doctor(cmd.Context(), f, asJSON) },
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func (a *app) doctor(ctx context.Context, f stackFlags, asJSON bool) error {
	if _, err := f.check(); err != nil {
		return err
	}
	asked, err := model.ParseFlags(f.contract)
	if err != nil {
		return usagef("--contract: %v", err)
	}
	open := f
	if f.stack != "embedded" {
		open.contractFlags = contractFlags{} // what it is judged by is what is to be found out
	}
	st, err := open.open(ctx)
	if err != nil {
		return err
	}
	defer st.close()
	checks := []doctor.Check{}
	journalled := time.Now()
	if f.stack != "embedded" {
		checks = doctor.Preflight(st.ctx, st.target.Client(), time.Now)
	}
	d, err := doctor.Examine(st.ctx, st.target.Client(), st.target.Limits())
	if f.stack != "embedded" {
		checks = append(checks, doctor.Create(d, err), f.checkLeft(st))
		checks = append(checks, f.checkMachine(st, journalled)...)
		if !asJSON {
			a.printChecks(checks)
		}
	}
	var dead *deadStack
	var unable *doctor.Unable
	switch {
	case errors.As(context.Cause(st.ctx), &dead):
		return dead
	case errors.As(err, &unable):
		a.complain(err)
		return exit(ExitInconclusive)
	case err != nil:
		return err
	}
	fits := diagnosed(d, f.profile, asked)
	if asJSON {
		if err := writeJSON(a.out, doctorJSON(st, d, fits, checks)); err != nil {
			return err
		}
	} else {
		a.printDiagnosis(f, st, fits, d.Fits(asked)[0])
	}
	if !fits[0].OK() {
		return exit(ExitViolation)
	}
	if slices.ContainsFunc(checks, func(c doctor.Check) bool { return c.Grade == doctor.Bad }) {
		return exit(ExitBroken)
	}
	return nil
}

// diagnosed returns how the answers fit the profile that was asked for, or each.
func diagnosed(d *doctor.Diagnosis, profile string, flags model.Flags) []doctor.Fit {
	fits := d.Fits(flags)
	if profile != "" && profile != auto {
		fits = slices.DeleteFunc(fits, func(f doctor.Fit) bool { return f.Contract.Profile != profile })
	}
	return fits
}

// printDiagnosis tells of fits; nearest is the best of all contracts, also of those that nobody asked for.
func (a *app) printDiagnosis(f stackFlags, st *openStack, fits []doctor.Fit, nearest doctor.Fit) {
	where := st.target.Describe()
	if f.stack != "embedded" {
		where = f.stack
	}
	fmt.Fprintf(a.out, "stack    %s\n", where)
	best := fits[0]
	if best.OK() {
		fmt.Fprintf(a.out, "fits     %s\n", best.Contract)
		if f.stack != "embedded" {
			fmt.Fprintf(a.out, "test it  %s\n", command(append([]string{"run", "--stack", f.stack}, contractWords(best.Contract)...)...))
		}
	} else {
		fmt.Fprintf(a.out, "fits     none; the nearest is %s\n", nearest.Contract)
	}
	for _, x := range fits {
		if x.OK() {
			continue
		}
		fmt.Fprintf(a.out, "\n%s is contradicted by %s:\n", x.Contract, report.Count(len(x.Contradictions), "answer"))
		for _, c := range x.Contradictions {
			fmt.Fprintf(a.out, "  %s\n    expected  %s\n    got       %s\n    source    %s\n", c.Request, c.Expected, clipped(c.Got), c.Source)
		}
	}
}

// clipped is text on one line of at most 160 characters; --json has all of it.
func clipped(text string) string {
	const most = 160
	if r := []rune(report.OneLine(text)); len(r) > most {
		return string(r[:most]) + "…"
	}
	return report.OneLine(text)
}

type jsonFit struct {
	Profile        string                 `json:"profile"`
	Contract       string                 `json:"contract"` // flags
	Fits           bool                   `json:"fits"`
	Contradictions []doctor.Contradiction `json:"contradictions"`
}

func doctorJSON(st *openStack, d *doctor.Diagnosis, fits []doctor.Fit, checks []doctor.Check) map[string]any {
	list := []jsonFit{}
	for _, f := range fits {
		bad := f.Contradictions
		if bad == nil {
			bad = []doctor.Contradiction{}
		}
		list = append(list, jsonFit{f.Contract.Profile, f.Contract.Flags.String(), f.OK(), bad})
	}
	fit := ""
	if fits[0].OK() {
		fit = fits[0].Contract.Profile
	}
	return map[string]any{"stack": st.target.Client().Endpoint().URL, "fits": fit, "seen": d.Flags.String(), "profiles": list, "answers": d.Answers, "checks": checks}
}

// judgedBy names the contract that a stack given by URL was judged by because somebody said so, and how
// to find out whether it keeps it; "" for others. A wrong contract looks like many bugs.
func (f *stackFlags) judgedBy() string {
	contract, err := f.resolve(false, nil)
	if f.stack == "embedded" || f.profile == auto || err != nil {
		return ""
	}
	return fmt.Sprintf("by contract %s; %s says whether the stack keeps it", contract, command("stack", "doctor", "--stack", f.stack))
}

// findContract asks the stack of cfg which contract it keeps, puts that into cfg, and says what it
// found. Flags in cfg that the user asked for stay.
func (f *stackFlags) findContract(ctx context.Context, cfg *live.Config) ([]string, error) {
	look := *cfg
	look.OtherKey, look.Journal, look.Control = "", "", ""
	t, err := live.Connect(ctx, look)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	d, err := doctor.Examine(ctx, t.Client(), t.Limits())
	var unable *doctor.Unable
	if errors.As(err, &unable) {
		return nil, fmt.Errorf("--profile %s: %w; name the profile that it should have", auto, err)
	}
	if err != nil {
		return nil, err
	}
	asked, err := model.ParseFlags(f.contract)
	if err != nil {
		return nil, usagef("--contract: %v", err)
	}
	best := d.Fits(asked)[0]
	cfg.Profile, cfg.Flags = best.Contract.Profile, best.Contract.Flags
	if best.OK() {
		return []string{"contract: " + best.Contract.String() + ", which all answers to a first look fit"}, nil
	}
	notes := []string{fmt.Sprintf("contract: %s is the nearest, but %s to a first look contradict it, e.g.", best.Contract, report.Count(len(best.Contradictions), "answer"))}
	c := best.Contradictions[0]
	return append(notes, fmt.Sprintf("  %s: expected %s, got %s", c.Request, c.Expected, clipped(c.Got))), nil
}
