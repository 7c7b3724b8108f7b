// Package engine performs one plan against a stack and records its history. Nothing is drawn here:
// clients, order, overlap, gaps and payloads all come from the plan.
package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"chaos/actions"
	"chaos/model"
	"chaos/stack"
)

// Engine runs plans against one stack. Several may run at once; each works on its own boxes.
type Engine struct {
	target  stack.Target
	lookup  func(name string) (actions.Action, bool)
	ledger  *ledger
	journal *collector
	stalls  *stallMeter
	alone   sync.RWMutex  // held for writing by plans with faults, which all others would suffer from
	limit   time.Duration // planLimit, but for tests
	life    model.Lifecycle
}

// New returns an engine for target that performs actions found by lookup. Close it after use.
func New(target stack.Target, lookup func(string) (actions.Action, bool)) *Engine {
	e := &Engine{target: target, lookup: lookup, ledger: newLedger(), stalls: newStallMeter(), limit: planLimit}
	if contract, ok := model.Lookup(target.Profile(), target.Flags()); ok {
		e.life = contract.Lifecycle()
	}
	if src := target.Journal(); src != nil {
		e.journal = newCollector(src)
	}
	return e
}

// Close stops what the engine started.
func (e *Engine) Close() { e.stalls.stop() }

// planLimit bounds one plan from its first step to its last, beyond what its own pauses need.
const planLimit = 60 * time.Second

// Run performs p and returns its history. token must be unique among all runs on the stack; it
// begins the names of all boxes. An error means that the harness could not do its work; what the
// stack did wrong is in the history only.
func (e *Engine) Run(ctx context.Context, p model.Plan, token string, seed int64) (*model.History, error) {
	for _, s := range p.Steps {
		if _, ok := e.lookup(s.Action); !ok {
			return nil, fmt.Errorf("run plan: no action is called %q", s.Action)
		}
	}
	sched := e.target.Scheduler()
	if p.Scheduled() && sched == nil {
		return nil, ErrNoScheduler
	}
	faulty, err := e.faulty(p)
	if err != nil {
		return nil, err
	}
	if faulty {
		e.alone.Lock()
		defer e.alone.Unlock()
	} else {
		e.alone.RLock()
		defer e.alone.RUnlock()
	}
	if r, ok := e.target.(stack.Reserver); ok {
		release, err := r.Reserve(ctx, creates(p))
		if err != nil {
			return nil, fmt.Errorf("wait for room on the stack: %w", err)
		}
		defer release()
	}
	lease, err := e.target.Lease(ctx)
	if err != nil {
		return nil, fmt.Errorf("take an organization: %w", err)
	}
	defer lease.Release()
	r := &run{engine: e, lease: lease, plan: p, token: token, rec: actions.NewRecorder(), refs: actions.NewRefs(p, token), groups: barriers(p)}
	h := &model.History{Plan: p, Meta: model.Meta{
		Profile: e.target.Profile(), Flags: e.target.Flags().String(), Token: token, Seed: seed, Stack: e.target.Describe(), Began: r.rec.Began(),
		Limits: e.target.Limits(), ExecLogged: e.target.ExecLogged(),
		Quota: lease.Quota, Alone: lease.Alone, OtherTenant: lease.Other != nil,
	}}
	end := func() []model.Message { return nil }
	if p.Scheduled() {
		end = sched.Begin(token, p, r.rec.Now)
	}
	r.clients(ctx, h)
	h.Meta.Messages = end()
	if faulty {
		if h.Meta.Faults, err = r.heal(ctx); err != nil {
			return nil, err
		}
	}
	if err := r.settle(ctx, h); err != nil {
		return nil, err
	}
	h.Calls = r.rec.Calls()
	resolve(h)
	h.Meta.Stalled = e.stalls.since(r.rec.Began())
	return h, nil
}

// ErrNoScheduler is what Run returns for a plan that holds messages on a stack where nothing can.
var ErrNoScheduler = errors.New("the plan schedules its messages, which needs a stack with a scheduler (--schedule on)")

// ErrNoControl is what Run returns for a plan with faults on a stack whose parts cannot be broken.
var ErrNoControl = errors.New("the plan has faults, and nothing of this stack can be broken from here")

// faulty reports whether p has faults, and an error when they cannot be done.
func (e *Engine) faulty(p model.Plan) (bool, error) {
	for _, s := range p.Steps {
		if a, ok := e.lookup(s.Action); ok && a.Spec().Fault {
			if e.target.Control() == nil {
				return true, ErrNoControl
			}
			return true, nil
		}
	}
	return false, nil
}

// healLimit bounds how long it may take to mend what a plan has broken.
const healLimit = 30 * time.Second

// heal mends every part, whatever became of the faults' own undoing, and returns what was done.
func (r *run) heal(ctx context.Context) ([]model.Fault, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), healLimit)
	defer cancel()
	c := r.engine.target.Control()
	var errs []error
	for _, part := range []stack.Part{stack.Journal, stack.API, stack.Runner} {
		for _, err := range []error{c.Thaw(ctx, part), c.Start(ctx, part)} {
			if !errors.Is(err, errors.ErrUnsupported) {
				errs = append(errs, err)
			}
		}
	}
	done, err := r.rec.Faults()
	return done, errors.Join(append(errs, err)...)
}

// creates counts the steps of p that make boxes.
func creates(p model.Plan) int {
	n := 0
	for _, s := range p.Steps {
		if s.Bind.IsBox() {
			n++
		}
	}
	return n
}

// run is one plan being performed.
type run struct {
	engine *Engine
	lease  *stack.Lease
	plan   model.Plan
	token  string
	rec    *actions.Recorder
	refs   *actions.Refs
	groups map[int]*barrier
}

func (r *run) env(index int, who string) *actions.Env {
	client := r.lease.Client
	if index >= 0 && r.plan.Scheduled() {
		client = client.Tagged(stack.Tag(r.token, index))
	}
	return &actions.Env{Client: client, Other: r.lease.Other, Stranger: r.lease.Stranger, Rec: r.rec, Refs: r.refs, Limits: r.engine.target.Limits(), Life: r.engine.life, Control: r.engine.target.Control(),
		Index: index, Who: who, Owned: r.engine.ledger}
}

// clients performs all steps and returns when every client is done or the plan's time is up.
func (r *run) clients(ctx context.Context, h *model.History) {
	ctx, cancel := context.WithTimeout(ctx, r.engine.limit)
	defer cancel()
	var wg sync.WaitGroup
	for _, name := range r.plan.Clients() {
		wg.Go(func() { r.client(ctx, name) })
	}
	wg.Wait()
	if ctx.Err() != nil {
		h.Meta.Aborted = "the plan was still running after " + r.engine.limit.String() + ", or was interrupted"
	}
}

// client performs the steps of one client in order.
func (r *run) client(ctx context.Context, name string) {
	for i, s := range r.plan.Steps {
		if s.Client != name {
			continue
		}
		for _, ref := range s.Refs() {
			r.refs.Wait(ctx, ref)
		}
		if b := r.groups[s.Group]; b != nil {
			b.arrive(ctx)
		}
		if actions.Pause(ctx, s.Gap) {
			action, _ := r.engine.lookup(s.Action)
			if !action.Spec().Fault {
				r.rec.AwaitUp(ctx)
			}
			env := r.env(i, name)
			env.GiveUp = s.Args.Duration("giveup")
			action.Perform(ctx, env, s)
		}
		// Whatever became of the step, nobody may wait for it any longer.
		if s.Bind.IsBox() {
			r.refs.BindBox(s.Bind, "")
		} else if s.Bind.IsExec() {
			r.refs.BindExec(s.Bind, "", "", nil)
		}
	}
}

// barrier lets the steps of a group start together.
type barrier struct {
	mu      sync.Mutex
	missing int
	open    chan struct{}
}

func barriers(p model.Plan) map[int]*barrier {
	out := map[int]*barrier{}
	for _, s := range p.Steps {
		if s.Group == 0 {
			continue
		}
		if out[s.Group] == nil {
			out[s.Group] = &barrier{open: make(chan struct{})}
		}
		out[s.Group].missing++
	}
	return out
}

// arrive returns when every member has arrived, or when ctx ends.
func (b *barrier) arrive(ctx context.Context) {
	b.mu.Lock()
	b.missing--
	if b.missing == 0 {
		close(b.open)
	}
	b.mu.Unlock()
	select {
	case <-b.open:
	case <-ctx.Done():
	}
}

// resolve fills in which of the plan's boxes each listed box is, and the ids of boxes that could
// only be asked for by name because their create was not answered.
func resolve(h *model.History) {
	refs, ids := map[string]model.Ref{}, map[string]string{}
	for _, c := range h.Calls {
		if c.Op == model.OpCreate && len(c.Boxes) == 1 {
			refs[c.Boxes[0].ID] = c.Box
		}
	}
	ran := map[string]string{} // box in which each execution ran, as the runner says
	for _, e := range h.Journal.Entries {
		if s, _, ok := model.Sight(e.Message); ok && s.What == model.SawExec {
			ran[s.ExecID] = s.BoxID
		}
	}
	for name, ref := range unanswered(h.Calls) {
		for _, c := range h.Calls {
			if id := ran[c.ExecID]; c.BoxID == name && id != "" {
				refs[id], ids[name] = ref, id
			}
			for _, b := range c.Boxes {
				if b.Name == name {
					refs[b.ID], ids[name] = ref, b.ID
				}
			}
		}
	}
	for i := range h.Calls {
		c := &h.Calls[i]
		for j := range c.Boxes {
			c.Boxes[j].Ref = refs[c.Boxes[j].ID]
		}
		switch {
		case c.Op == model.OpCreate && len(c.Boxes) == 1:
			c.BoxID = c.Boxes[0].ID
		case c.Op == model.OpCreate && c.BoxID == "":
			c.BoxID = ids[c.Name]
		case ids[c.BoxID] != "":
			c.BoxID = ids[c.BoxID]
		}
	}
}

// unanswered returns the boxes, by name, whose create was not answered and had a name of its own.
func unanswered(calls []model.Call) map[string]model.Ref {
	out := map[string]model.Ref{}
	for _, c := range calls {
		if c.Op == model.OpCreate && c.Outcome == model.Unknown && c.Variant == "" && c.Name != "" {
			out[c.Name] = c.Box
		}
	}
	return out
}
