package proxy

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"chaos/model"
	"chaos/stack"
)

// announced is a plan that is under way.
type announced struct {
	token string
	now   func() int64
	rules []*rule
	done  context.Context // ends when the plan is over: nothing is held any more

	mu   sync.Mutex
	said []model.Message
}

// creates is the lane of all that make boxes.
const creates = model.Ref("new")

// rule is what one step wants done to its messages.
type rule struct {
	plan  *announced
	step  int
	args  model.Args
	lane  *lane // of its box; nil when it is about none
	mu    sync.Mutex
	count int // messages so far
}

// Begin announces a plan, whose requests carry stack.Tag(token, step). now is the clock of its
// history. end lets go of what is still held for it and returns what was done.
func (p *Proxy) Begin(token string, plan model.Plan, now func() int64) (end func() []model.Message) {
	done, cancel := context.WithCancel(context.Background())
	a := &announced{token: token, now: now, done: done, rules: make([]*rule, len(plan.Steps))}
	lanes := map[model.Ref]*lane{}
	for i, home := range plan.Home() {
		s := plan.Steps[i]
		a.rules[i] = &rule{plan: a, step: i, args: s.Args}
		if s.Bind.IsBox() {
			home = creates
		} else if home == "" {
			continue
		}
		if lanes[home] == nil {
			lanes[home] = newLane(p.settle)
		}
		a.rules[i].lane = lanes[home]
	}
	p.mu.Lock()
	p.plans[token] = a
	p.mu.Unlock()
	return func() []model.Message {
		cancel()
		p.mu.Lock()
		delete(p.plans, token)
		p.boxes.forget(a)
		p.mu.Unlock()
		a.mu.Lock()
		defer a.mu.Unlock()
		slices.SortFunc(a.said, func(x, y model.Message) int { return int(x.At - y.At) })
		return a.said
	}
}

// ruleOf returns the rule of the step that tag names, nil when there is none.
func (p *Proxy) ruleOf(tag string) *rule {
	token, index, ok := strings.Cut(tag, "/")
	n, err := strconv.Atoi(index)
	if !ok || err != nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.plans[token]; a != nil && n >= 0 && n < len(a.rules) {
		return a.rules[n]
	}
	return nil
}

func (r *rule) tell(what string, at int64, took time.Duration) {
	r.plan.mu.Lock()
	defer r.plan.mu.Unlock()
	r.plan.said = append(r.plan.said, model.Message{Step: r.step, What: what, At: at, For: int64(took)})
}

// onward are the messages on their way to who does the work.
var onward = map[string]bool{model.HoldRequest: true, model.HoldForward: true, model.HoldJob: true}

// pass returns when a message of the rule's step may go on: after its hold, and when its rank is up.
// A nil rule passes everything at once. It returns early when ctx ends or the plan is over.
func (r *rule) pass(ctx context.Context, what string) {
	if r == nil {
		return
	}
	r.hold(ctx, what)
	r.queue(ctx)
	if r.lane != nil && onward[what] {
		r.lane.passes(r.step)
	}
}

// hold keeps a message for as long as the step says, or until it has company.
func (r *rule) hold(ctx context.Context, what string) {
	if !r.args.Has(what) {
		return
	}
	at, began := r.plan.now(), time.Now()
	if r.args.Get(what) != model.Meet {
		t := time.NewTimer(r.args.Duration(what))
		select {
		case <-t.C:
		case <-ctx.Done():
		case <-r.plan.done.Done():
		}
		t.Stop()
	} else if r.lane != nil {
		r.lane.meet(ctx, r.plan.done, r.step)
	}
	r.tell(what, at, time.Since(began))
}

// queue keeps a message of a step with a rank until it is its turn.
func (r *rule) queue(ctx context.Context) {
	rank := r.args.Int(model.Rank)
	if rank == 0 || r.lane == nil {
		return
	}
	r.mu.Lock()
	r.count++
	if k := r.args.Int(model.Yield); k > 0 && r.count > k {
		rank += lowest
	}
	r.mu.Unlock()
	at, began := r.plan.now(), time.Now()
	if r.lane.wait(ctx, r.plan.done, r.step, rank) {
		r.tell(model.Rank, at, time.Since(began))
	}
}

// lowest is added to the rank of a step that has yielded.
const lowest = 1000

// boxRules are the rules of steps whose requests have become jobs, or will be part of a report.
type boxRules struct {
	jobs    map[string]*rule // by box id or name, of the latest request about it
	working map[string]*rule // by job id
	reports map[string]*rule // by box id or name
	names   map[string]string
}

func newBoxRules() boxRules {
	return boxRules{jobs: map[string]*rule{}, working: map[string]*rule{}, reports: map[string]*rule{}, names: map[string]string{}}
}

func (b *boxRules) forget(a *announced) {
	for _, m := range []map[string]*rule{b.jobs, b.working, b.reports} {
		for k, r := range m {
			if r.plan == a {
				delete(m, k)
			}
		}
	}
	for id, name := range b.names {
		if strings.HasPrefix(name, a.token) {
			delete(b.names, id)
		}
	}
}

// asked notes that a request about a box has been sent on, so that its job is known when it comes.
func (p *Proxy) asked(r *rule, box string) {
	if r == nil || box == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.boxes.jobs[box] = r
	if r.args.Has(model.HoldReport) {
		p.boxes.reports[box] = r
	}
}

// jobRule returns the rule for a job on its way to the runner, and keeps it for its report.
func (p *Proxy) jobRule(j job) *rule {
	p.mu.Lock()
	defer p.mu.Unlock()
	if j.Payload.Name != "" {
		p.boxes.names[j.ResourceID] = j.Payload.Name
	}
	r := p.boxes.jobs[j.ResourceID]
	if r == nil {
		r = p.boxes.jobs[j.Payload.Name]
	}
	if r != nil {
		delete(p.boxes.jobs, j.ResourceID)
		delete(p.boxes.jobs, j.Payload.Name)
		p.boxes.working[j.ID] = r
	}
	return r
}

// doneRule returns the rule for the report that a job is done.
func (p *Proxy) doneRule(id string) *rule {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.boxes.working[id]
	delete(p.boxes.working, id)
	return r
}

// reportRule returns a rule that wants a report held which speaks of one of these boxes.
func (p *Proxy) reportRule(boxes []string) *rule {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range boxes {
		for _, key := range []string{id, p.boxes.names[id]} {
			if r := p.boxes.reports[key]; r != nil && key != "" {
				delete(p.boxes.reports, key)
				return r
			}
		}
	}
	return nil
}

var _ stack.Scheduler = (*Proxy)(nil)
