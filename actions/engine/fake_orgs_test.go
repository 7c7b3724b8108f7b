package engine_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"chaos/stack"
)

// fakeOrg is a tenant of the fake.
type fakeOrg struct {
	limit            int // of boxes at once, 0 = none
	boxes            int
	created, stopped int
	execs, refused   int
}

// fakeOther is the key of an organization that never has a box.
const fakeOther = "fake-other"

// fakeQuota is how many boxes a leased organization may have.
const fakeQuota = 3

func key(q *http.Request) string {
	token, _ := strings.CutPrefix(q.Header.Get("Authorization"), "Bearer ")
	return token
}

// org returns who asks, nil for nobody.
func (f *fake) org(q *http.Request) *fakeOrg {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !strings.HasPrefix(q.Header.Get("Authorization"), "Bearer ") {
		return nil
	}
	return f.orgs[key(q)]
}

// Lease hands out an organization of its own, unless the fake is shared.
func (f *fake) Lease(context.Context) (*stack.Lease, error) {
	if f.hooks.shared {
		return stack.Shared(f.client, fakeOther, ""), nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.leases++
	name := fmt.Sprintf("fake-key-%d", f.leases)
	f.orgs[name] = &fakeOrg{limit: fakeQuota}
	l := stack.NewLease(f.client.As(name, ""), func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.orgs, name)
	})
	l.Other, l.Quota, l.Alone = f.client.As(fakeOther, ""), fakeQuota, true
	return l, nil
}

func (f *fake) me(*http.Request) (int, any) { return 200, map[string]any{"sub": "somebody"} }

func (f *fake) orgMetrics(q *http.Request) (int, any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	org := f.orgs[key(q)]
	running := 0
	for _, b := range f.boxes {
		if b.org == org && b.status == "running" {
			running++
		}
	}
	return 200, map[string]any{"boxes_created_total": org.created, "boxes_failed_total": 0, "boxes_stopped_total": org.stopped,
		"num_running_boxes": running, "total_commands_executed": org.execs, "total_exec_errors": org.refused}
}
