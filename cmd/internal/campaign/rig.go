// Package campaign is the loop of chaos: draw plans, perform them, judge, shrink what fails, save.
package campaign

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"chaos/actions"
	"chaos/actions/engine"
	"chaos/corpus/shrink"
	"chaos/invariants"
	"chaos/model"
	"chaos/stack"
)

// Rig performs and judges plans on one stack. It is safe for concurrent use.
type Rig struct {
	engine   *engine.Engine
	contract model.Contract
	run      string
	serial   atomic.Int64
	grace    time.Duration // cleanupLimit, but for tests
	flying   flying
	// Save, if set, is given every history before it is judged, and afterwards its verdict.
	Save func(*model.History) (done func(model.Verdict), err error)
}

// NewRig returns a rig for target. Close it after use.
func NewRig(target stack.Target) (*Rig, error) {
	contract, ok := model.Lookup(target.Profile(), target.Flags())
	if !ok {
		return nil, fmt.Errorf("no contract for profile %q", target.Profile())
	}
	// Names must not clash with boxes of other runs on a shared stack, so this is not seeded; it has
	// no influence on what a plan does.
	run := fmt.Sprintf("chaos-%06x", rand.Uint32()&0xffffff)
	return &Rig{engine: engine.New(target, actions.Get), contract: contract, run: run, grace: CleanupLimit}, nil
}

// Close stops what the rig started.
func (r *Rig) Close() { r.engine.Close() }

// Perform runs p once, saves the history and judges it.
func (r *Rig) Perform(ctx context.Context, p model.Plan, seed int64) (*model.History, model.Verdict, error) {
	return r.perform(ctx, p, seed, r.Save)
}

func (r *Rig) perform(ctx context.Context, p model.Plan, seed int64, save func(*model.History) (func(model.Verdict), error)) (*model.History, model.Verdict, error) {
	token := fmt.Sprintf("%s-%d", r.run, r.serial.Add(1))
	h, err := r.attempt(ctx, p, token, seed)
	if err != nil {
		return nil, model.Verdict{}, err
	}
	if ctx.Err() != nil {
		return h, model.Verdict{}, ctx.Err()
	}
	done := func(model.Verdict) {}
	if save != nil {
		if done, err = save(h); err != nil {
			return h, model.Verdict{}, fmt.Errorf("save history: %w", err)
		}
	}
	v := invariants.Judge(h, r.contract)
	done(v)
	if v.Broken != "" {
		return h, v, &BrokenError{v.Broken}
	}
	return h, v, nil
}

// BrokenError is a history that the judge cannot rely on: the harness is at fault.
type BrokenError struct{ What string }

func (e *BrokenError) Error() string { return "the harness is broken: " + e.What }

// Predicate returns "p fails with signature sig" for the shrinker and for replays. Every other
// violation is a slip. Its many histories are not saved; they would crowd out those of the search.
func (r *Rig) Predicate(sig model.Signature) shrink.Run {
	return func(ctx context.Context, p model.Plan) (shrink.Outcome, error) {
		h, v, err := r.perform(ctx, p, 0, nil)
		if err != nil {
			if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
				return shrink.Outcome{Inconclusive: true}, ctx.Err()
			}
			return shrink.Outcome{}, err
		}
		out := shrink.Outcome{Failed: v.Has(sig), Inconclusive: v.Status == model.Inconclusive, Reached: make([]bool, len(p.Steps))}
		if out.Inconclusive && len(v.Unjudged) > 0 {
			out.Why = v.Unjudged[0]
		}
		// Not seen is not absent where nobody looked.
		if why := invariants.Blind(sig, h); why != "" && !out.Failed {
			out.Inconclusive, out.Why = true, why
		}
		upTo := int64(-1)
		for _, x := range v.Violations {
			if x.Signature != sig {
				out.Slips = append(out.Slips, x)
				continue
			}
			for _, id := range x.Calls {
				upTo = max(upTo, h.Calls[callIndex(h, id)].Return)
			}
		}
		for _, c := range h.Calls {
			if c.Step >= 0 && c.Step < len(out.Reached) && (upTo < 0 || c.Invoke <= upTo) {
				out.Reached[c.Step] = true
			}
		}
		for _, f := range h.Meta.Faults {
			if f.Step < len(out.Reached) && (upTo < 0 || f.From <= upTo) {
				out.Reached[f.Step] = true
			}
		}
		return out, nil
	}
}

func callIndex(h *model.History, id int) int {
	for i := range h.Calls {
		if h.Calls[i].ID == id {
			return i
		}
	}
	return 0
}

// PlanSeed returns the seed of plan i of a campaign: the same campaign seed gives the same plans, in
// whatever order workers take them (SplitMix64).
func PlanSeed(seed int64, i int) int64 {
	z := uint64(seed) + uint64(i+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return int64((z ^ z>>31) >> 1)
}
