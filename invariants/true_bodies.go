package invariants

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"chaos/model"
)

type trueBodies struct{}

var _ = register(trueBodies{})

func (trueBodies) Name() string { return "true-bodies" }

func (trueBodies) Promise() string {
	return "The body of a success is about what was asked for: the box or execution of that id, as it was ordered, each box once."
}

func (trueBodies) Source() string {
	return "BoxLite OpenAPI Box, ListBoxesResponse, ExecutionInfo, BoxMetrics; test_box_management, test_box_metrics, test_runner_concurrency"
}

func (trueBodies) Check(f *Facts) []Finding {
	b := bodies{Facts: f, made: map[model.Ref]*model.Call{}, first: map[string]model.BoxView{}}
	for i := range f.Calls {
		if c := &f.Calls[i]; c.Op == model.OpCreate {
			b.made[c.Box] = c
		}
	}
	for i := range f.Calls {
		if c := &f.Calls[i]; c.Outcome == model.OK {
			b.check(c)
		}
	}
	return b.out
}

// bodies judges the successes of one history.
type bodies struct {
	*Facts
	made  map[model.Ref]*model.Call // the creates
	first map[string]model.BoxView  // the first view of each box, by id
	out   []Finding
}

// found adds a finding about c. Detail says what is wrong in words that do not differ from run to run.
func (b *bodies) found(c *model.Call, detail, allowed, got string) {
	b.out = append(b.out, Finding{Call: c, State: noState, Detail: detail,
		Message: fmt.Sprintf("%s was answered with %d and a body in which something is wrong (%s): %s", label(c), c.Status, detail, short(c.Body)), Allowed: allowed, Got: got})
}

func (b *bodies) check(c *model.Call) {
	if c.Garbled != "" {
		b.found(c, c.Garbled, "the documented body", short(c.Body))
		return
	}
	switch c.Op {
	case model.OpCreate:
		b.status(c)
	case model.OpGet, model.OpStart, model.OpStop:
		// Servers take a name for an id, too.
		if len(c.Boxes) == 1 && c.Boxes[0].ID != c.BoxID && c.Boxes[0].Name != c.BoxID {
			b.found(c, "another box", c.BoxID, c.Boxes[0].ID)
			return
		}
	case model.OpList:
		b.list(c)
	case model.OpInfo:
		if c.View != nil && c.View.ID != "" && c.View.ID != c.ExecID {
			b.found(c, "another execution", c.ExecID, c.View.ID)
		}
	case model.OpMetrics:
		b.metrics(c)
	case model.OpProbe:
		return
	}
	for _, v := range c.Boxes {
		ref := v.Ref
		if ref == "" && c.Op != model.OpList {
			ref = c.Box
		}
		b.view(c, ref, v)
	}
}

// status judges what a new box is.
func (b *bodies) status(c *model.Call) {
	for _, v := range c.Boxes {
		if !slices.Contains([]string{"configured", "running", "stopping", "stopped", "paused"}, v.Status) {
			b.found(c, fmt.Sprintf("status %q", v.Status), "configured or running", v.Status)
		}
	}
}

// list looks for a box that is there twice, and for one with a name of this run that nobody asked for.
// A name that a create asked for is the matter of other promises.
func (b *bodies) list(c *model.Call) {
	seen := map[string]bool{}
	for _, v := range c.Boxes {
		if seen[v.ID] {
			b.found(c, "one box twice", "each box once", v.ID)
		}
		seen[v.ID] = true
		if v.Ref == "" && strings.HasPrefix(v.Name, b.Meta.Token+"-") && !b.askedFor(v.Name) {
			b.found(c, "a box nobody asked for", "boxes that were created", v.ID+" named "+v.Name)
		}
	}
}

func (b *bodies) askedFor(name string) bool {
	for _, c := range b.made {
		if c.Name == name {
			return true
		}
	}
	return false
}

// metrics looks for the documented counters; of a box that may not run there may be none.
func (b *bodies) metrics(c *model.Call) {
	names := boxCounters
	if c.Variant == "org" {
		names = append([]string{runningBoxes}, orgCounters...)
	} else if b.During(c) != model.Running {
		return
	}
	for _, n := range names {
		if _, there := c.Counters[n]; !there {
			b.found(c, "no "+n, strings.Join(names, " "), "none of that name")
			return
		}
	}
}

// view holds one view of a box against what was ordered and against the first view of it. A field
// that is not there is not judged: older servers leave some out.
func (b *bodies) view(c *model.Call, ref model.Ref, v model.BoxView) {
	order := b.made[ref]
	if order != nil && (order.Variant == "" || order.Variant == "shared-name") {
		switch {
		case v.Name != "" && v.Name != order.Name && !b.leaving(c, ref):
			b.found(c, "another name", order.Name, v.Name)
		case order.CPUs != 0 && v.CPUs != 0 && v.CPUs != order.CPUs:
			b.found(c, "another number of CPUs", fmt.Sprint(order.CPUs), fmt.Sprint(v.CPUs))
		case order.MemoryMiB != 0 && v.MemoryMiB != 0 && v.MemoryMiB != order.MemoryMiB && v.MemoryMiB != wholeGiB(order.MemoryMiB):
			b.found(c, "another size of memory", fmt.Sprint(order.MemoryMiB), fmt.Sprint(v.MemoryMiB))
		}
	}
	b.times(c, v)
}

// leaving reports whether a removal may have been under way: the API frees a name by giving the row
// of the box another one.
func (b *bodies) leaving(c *model.Call, ref model.Ref) bool {
	return b.Timeline(ref).Over(c.Invoke, c.Return)&(model.Removing|model.Gone) != 0
}

// wholeGiB is what the API makes of a size of memory.
func wholeGiB(mib int) int { return (mib + 1023) / 1024 * 1024 }

// timeSlack is what two times may differ by because they are stored less exactly than they are shown.
const timeSlack = time.Second

// times judges when a box was made and last changed.
func (b *bodies) times(c *model.Call, v model.BoxView) {
	created, ok := b.time(c, "created_at", v.Created)
	updated, both := b.time(c, "updated_at", v.Updated)
	if ok && both && updated.Before(created.Add(-timeSlack)) {
		b.found(c, "changed before it was made", "updated_at not before created_at", v.Updated+" before "+v.Created)
	}
	first, seen := b.first[v.ID]
	if !seen {
		b.first[v.ID] = v
		return
	}
	if was, err := time.Parse(time.RFC3339, first.Created); err == nil && ok && created.Sub(was).Abs() > timeSlack {
		b.found(c, "made at another time", first.Created, v.Created)
	}
}

// time reads a time of the answer; one that is not there is no mistake.
func (b *bodies) time(c *model.Call, field, text string) (t time.Time, ok bool) {
	if text == "" || text == "null" {
		return t, false
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		b.found(c, field+" is no time", "a date-time as in RFC 3339", text)
	}
	return t, err == nil
}
