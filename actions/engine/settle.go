package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"chaos/actions"
	"chaos/model"
)

// settle is what every run ends with: wait for what must still come, look at everything once more,
// remove every box, look again, read the journal, search for leftovers. It also runs when ctx has
// ended, for then the boxes must go all the more.
func (r *run) settle(ctx context.Context, h *model.History) error {
	interrupted := ctx.Err() != nil
	// Cleaning up has its own time: Ctrl-C must not leave boxes behind.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*h.Meta.Limits.Converge+h.Meta.Limits.Call)
	defer cancel()
	env := r.env(model.Harness, "")
	if interrupted {
		h.Meta.Aborted = "it was interrupted"
	} else {
		r.awaitCreates(ctx, env)
		r.awaitExecs(ctx, env)
		r.finalLook(ctx, env, h)
	}
	r.removeAll(ctx, env)
	if interrupted {
		return nil
	}
	if err := r.readJournal(ctx, h); err != nil {
		return err
	}
	return r.searchResidue(ctx, h)
}

// awaitCreates looks for the boxes of creates that were not answered until they show, or are
// unlikely to come any more.
func (r *run) awaitCreates(ctx context.Context, env *actions.Env) {
	for _, ref := range sortedRefs(unanswered(r.rec.Calls())) {
		begun := time.Now()
		for wait := 3 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
			c := env.Look(ctx, ref)
			if c.Outcome == model.OK || time.Since(begun) > env.Limits.Converge/8 || !actions.Pause(ctx, wait) {
				break
			}
		}
	}
}

func sortedRefs(m map[string]model.Ref) []model.Ref { return slices.Sorted(maps.Values(m)) }

// awaitExecs looks at each exec whose end nobody saw until it has ended, or must have.
func (r *run) awaitExecs(ctx context.Context, env *actions.Env) {
	calls := r.rec.Calls()
	for _, start := range calls {
		if start.Op != model.OpExec || start.Outcome != model.OK || endSeen(calls, start.Exec) {
			continue
		}
		if start.Payload.Stdin > 0 && !inputEnded(calls, start.Exec) {
			env.Kill(ctx, start.Exec) // it waits for the end of an input that nobody sends any more
			continue
		}
		deadline := time.Duration(start.Return) + start.Payload.Within(env.Limits.Grace) + env.Limits.Resolve
		for wait := 5 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
			c := env.Info(ctx, start.Exec)
			over := c.Outcome != model.OK || c.View.Terminal()
			// At least one look comes after the deadline, or the deadline proves nothing.
			if over || time.Duration(c.Invoke) > deadline || !actions.Pause(ctx, wait) {
				break
			}
		}
	}
}

// endSeen reports whether some answer already says that exec ref is over or forgotten.
func endSeen(calls []model.Call, ref model.Ref) bool {
	return slices.ContainsFunc(calls, func(c model.Call) bool {
		return c.Exec == ref && (c.Op == model.OpInfo && (c.View.Terminal() || c.Status == 404) || c.Op == model.OpKill && c.Outcome == model.OK)
	})
}

// inputEnded reports whether some session has told exec ref for sure that its input is over. What was
// sent just before a connection was cut may be lost.
func inputEnded(calls []model.Call, ref model.Ref) bool {
	return slices.ContainsFunc(calls, func(c model.Call) bool {
		return c.Exec == ref && c.Attach.EndedInput()
	})
}

// finalLook reads the status of each box until what was accepted shows, then lists once.
func (r *run) finalLook(ctx context.Context, env *actions.Env, h *model.History) {
	for _, ref := range r.boxes() {
		begun := time.Now()
		for wait := 3 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
			c := env.Look(ctx, ref)
			waiting := c.Outcome == model.OK && len(c.Boxes) == 1 && r.changing(h, ref, c.Boxes[0].Status)
			if !waiting || time.Since(begun) > env.Limits.Converge || !actions.Pause(ctx, wait) {
				break
			}
		}
	}
	env.List(ctx)
	if h.Meta.Alone {
		env.OrgMetrics(ctx) // nobody else counts here, so what was done must be in it
	}
}

// changing reports whether what was accepted for box ref may not have come to its end yet when its
// status is shown. Of a stop with a start at the same time or later nothing can be said, so there is
// nothing to wait for.
func (r *run) changing(h *model.History, ref model.Ref, shown string) bool {
	now := &model.History{Meta: h.Meta, Plan: h.Plan, Calls: r.rec.Calls()}
	resolve(now)
	end := model.NewTimeline(now, ref, r.engine.life, nil).End()
	if shown != "running" && end&model.Starting != 0 && end&^(model.Starting|model.Running) == 0 {
		return true // it may have come to run since it was looked at
	}
	if shown == "stopped" || end&model.Stopping == 0 {
		return false
	}
	return slices.ContainsFunc(now.Calls, func(c model.Call) bool {
		return c.Op == model.OpStop && c.Box == ref && c.Outcome == model.OK && !r.rec.StartedSince(r.engine.life, ref, c.Invoke)
	})
}

// boxes returns the refs of all boxes that came to be.
func (r *run) boxes() []model.Ref {
	var out []model.Ref
	for _, c := range r.rec.Calls() {
		if c.Op == model.OpCreate && len(c.Boxes) == 1 {
			out = append(out, c.Box)
		}
	}
	return append(out, sortedRefs(unanswered(r.rec.Calls()))...)
}

// calls returns what was recorded so far, resolved.
func (r *run) calls() []model.Call {
	now := &model.History{Calls: r.rec.Calls()}
	resolve(now)
	return now.Calls
}

// removeAll deletes every box of the run, also those that only the list knows, and looks again.
func (r *run) removeAll(ctx context.Context, env *actions.Env) {
	for _, ref := range r.boxes() {
		insist(ctx, env.Limits.Converge, func() *model.Call { return env.Remove(ctx, ref) })
		env.Look(ctx, ref)
	}
	calls := r.calls()
	known := runIDs(calls)
	for _, c := range calls {
		if c.Op == model.OpCreate && c.Outcome == model.Unknown && c.BoxID != "" {
			r.engine.ledger.adopt(c.BoxID)
		}
	}
	for _, b := range env.List(ctx).Boxes {
		if !known[b.ID] {
			r.engine.ledger.adopt(b.ID)
			insist(ctx, env.Limits.Converge, func() *model.Call { return env.RemoveID(ctx, b.ID) })
		}
	}
}

// removeTries is how often a removal is sent that the server does not answer, or answers with an
// error of its own.
const removeTries = 3

// insist sends a removal until it is answered for good: again while the box is in the middle of a
// change, and a few times when there is no good answer, for a box must not be left behind.
func insist(ctx context.Context, limit time.Duration, remove func() *model.Call) {
	begun, tries := time.Now(), 0
	for wait := 3 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		c := remove()
		bad := c.Outcome == model.Unknown || c.Status >= 500
		if bad {
			tries++
		}
		again := c.Status == 400 || c.Status == 409 || bad && tries < removeTries
		if !again || time.Since(begun) > limit || !actions.Pause(ctx, wait) {
			return
		}
	}
}

// readJournal collects what the runner logged about the run's boxes and execs, once it has logged
// the end of every removed box or the time for that is over.
func (r *run) readJournal(ctx context.Context, h *model.History) error {
	if r.engine.journal == nil {
		return nil
	}
	calls := r.calls()
	ids := runIDs(calls)
	nameless := map[string]bool{} // executions in boxes of which only the name is known
	for _, c := range calls {
		if c.Op == model.OpExec && c.ExecID != "" && !ids[c.BoxID] {
			nameless[c.ExecID] = true
		}
	}
	begun := time.Now()
	for wait := 4 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		if err := r.engine.journal.collect(ctx); err != nil {
			if ctx.Err() != nil {
				h.Journal.Problem = "there was no time to read it"
				return nil
			}
			return fmt.Errorf("read journal: %w", err)
		}
		if len(nameless) > 0 {
			r.engine.journal.boxesOf(nameless, ids)
		}
		h.Journal = r.engine.journal.slice(ids, r.rec.Began())
		if destroysSeen(calls, ids, h.Journal) || time.Since(begun) > h.Meta.Limits.Converge || !actions.Pause(ctx, wait) {
			break
		}
	}
	if r.engine.target.Exclusive() {
		h.Journal.Exclusive = true
		h.Journal.Foreign = r.engine.foreign(ctx, r.rec.Began())
	}
	r.engine.journal.forget(ids)
	return nil
}

// runIDs returns the ids of all boxes of the run: those that creates were answered with, and those
// found under its names.
func runIDs(calls []model.Call) map[string]bool {
	ids := map[string]bool{}
	for _, c := range calls {
		switch {
		case c.Op == model.OpCreate && c.BoxID != "":
			ids[c.BoxID] = true
		case c.Op == model.OpRemove && c.Variant == "stray":
			ids[c.BoxID] = true
		}
	}
	return ids
}

// destroysSeen reports whether the journal tells the end of every box whose removal was accepted.
func destroysSeen(calls []model.Call, ids map[string]bool, j model.Journal) bool {
	done := map[string]bool{}
	for _, e := range j.Entries {
		if s, job, ok := model.Sight(e.Message); ok && s.What == model.SawDone && job == "DESTROY_BOX" {
			done[s.BoxID] = true
		}
	}
	for _, c := range calls {
		if c.Op == model.OpRemove && c.Outcome == model.OK && ids[c.BoxID] && !done[c.BoxID] {
			return false
		}
	}
	return true
}

// searchResidue looks for what is left of removed boxes until nothing is, or nothing may be.
func (r *run) searchResidue(ctx context.Context, h *model.History) error {
	gone := map[string]bool{}
	for _, c := range r.calls() {
		if c.Op == model.OpRemove && c.Outcome == model.OK {
			gone[c.BoxID] = true
		}
	}
	begun := time.Now()
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		left, ok, err := r.engine.target.Residue(ctx)
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("search for leftovers: %w", err)
		}
		if !ok || err != nil {
			return nil
		}
		h.Residue = slices.DeleteFunc(left, func(x model.Residue) bool { return !gone[x.BoxID] })
		h.Meta.ResidueChecked = true
		if len(h.Residue) == 0 || time.Since(begun) > h.Meta.Limits.Converge || !actions.Pause(ctx, wait) {
			return nil
		}
	}
}
