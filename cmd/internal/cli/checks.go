package cli

import (
	"context"
	"fmt"
	"time"

	"chaos/cmd/internal/doctor"
	"chaos/cmd/internal/report"
	"chaos/model"
	"chaos/stack/live"
)

// printChecks tells what a run needs, and what is to be done.
func (a *app) printChecks(checks []doctor.Check) {
	for _, c := range checks {
		fmt.Fprintf(a.out, "%-8s %-5s %s\n", c.Name, c.Grade, clipped(c.Seen))
		if c.Do != "" {
			fmt.Fprintf(a.out, "%14s → %s\n", "", c.Do)
		}
	}
	fmt.Fprintln(a.out)
}

// checkLeft looks into the ledgers of earlier runs.
func (f *stackFlags) checkLeft(st *openStack) doctor.Check {
	n, err := live.Unswept(f.ledger, st.target.Client().Endpoint())
	switch {
	case err != nil:
		return doctor.Check{Name: "ledger", Grade: doctor.Warn, Seen: err.Error(), Do: "name another folder with --ledger"}
	case n > 0:
		return doctor.Check{Name: "ledger", Grade: doctor.Warn, Seen: fmt.Sprintf("earlier runs may have left %s", report.Count(n, "box", "boxes")),
			Do: command(append([]string{"stack", "sweep"}, f.words()...)...)}
	}
	return doctor.Check{Name: "ledger", Grade: doctor.Good, Seen: "earlier runs have left nothing"}
}

// checkMachine looks at the log and the units of a stack on this machine. Boxes were made since
// began.
func (f *stackFlags) checkMachine(st *openStack, began time.Time) []doctor.Check {
	out := []doctor.Check{f.checkJournal(st, began)}
	if f.control == "" {
		return append(out, doctor.Check{Name: "control", Grade: doctor.Blank, Seen: "not asked for", Do: "for faults give --control unit:api=NAME,runner=NAME"})
	}
	return append(out, doctor.Check{Name: "control", Grade: doctor.Good, Seen: f.control + " can be stopped and started"})
}

// checkJournal sees whether the log tells of the boxes that were made just now.
func (f *stackFlags) checkJournal(st *openStack, began time.Time) doctor.Check {
	src := st.target.Journal()
	if src == nil {
		return doctor.Check{Name: "journal", Grade: doctor.Blank, Seen: "not read", Do: "to judge what the runner saw give --journal unit:boxlite-runner or file:PATH"}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(st.ctx), st.target.Limits().Converge)
	defer cancel()
	entries, _, err := src.Since(ctx, "")
	if err != nil {
		return doctor.Check{Name: "journal", Grade: doctor.Bad, Seen: err.Error(), Do: "give --journal another place, or read access to this user (group systemd-journal)"}
	}
	boxes := 0
	for _, e := range entries {
		if s, _, ok := model.Sight(e.Message); ok && s.What == model.SawCreate && !e.Time.Before(began.Add(-time.Minute)) {
			boxes++
		}
	}
	if boxes == 0 {
		return doctor.Check{Name: "journal", Grade: doctor.Bad, Seen: fmt.Sprintf("%s: %s, none of which tells of the box that was made just now", src.Describe(), report.Count(len(entries), "line")),
			Do: "name the unit or file of the runner that this stack uses"}
	}
	return doctor.Check{Name: "journal", Grade: doctor.Good, Seen: fmt.Sprintf("%s: tells of %s made just now", src.Describe(), report.Count(boxes, "box", "boxes"))}
}
