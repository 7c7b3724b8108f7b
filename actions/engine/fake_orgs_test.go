package engine_test

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

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

// box returns the box that a request names by id or name, nil if its sender has none such. The caller
// holds the mutex.
func (f *fake) box(q *http.Request) *fakeBox {
	org := f.orgs[key(q)]
	b := cmp.Or(f.boxes[q.PathValue("box")], f.names[fmt.Sprintf("%p %s", org, q.PathValue("box"))])
	if b == nil || b.org != org {
		return nil
	}
	return b
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

func (f *fake) create(q *http.Request) (int, any) {
	req := decode[struct {
		Image, Name string
		CPUs        *int `json:"cpus"`
		Memory      *int `json:"memory_mib"`
	}](q)
	switch {
	case req.CPUs != nil && (*req.CPUs < 1 || *req.CPUs > 32), req.Memory != nil && *req.Memory < 256, req.Name == "", req.Image != "alpine:latest":
		return 400, flat(q, 400, "invalid_argument", "that is no box")
	}
	f.pause()
	f.mu.Lock()
	org := f.orgs[key(q)]
	name := fmt.Sprintf("%p %s", org, req.Name)
	if f.names[name] != nil {
		defer f.mu.Unlock()
		return 409, flat(q, 409, "already_exists", "Box with name "+req.Name+" already exists")
	}
	if org.limit > 0 && org.boxes >= org.limit {
		defer f.mu.Unlock()
		return 429, flat(q, 429, "resource_exhausted", "no more boxes")
	}
	f.serial++
	b := &fakeBox{id: fmt.Sprintf("Box%09d", f.serial), name: req.Name, org: org, cpus: 1, memory: 1024, made: time.Now(), status: "configured", settled: make(chan struct{}),
		fakeHome: fakeHome{map[string]string{}, map[string]bool{}}}
	if req.CPUs != nil {
		b.cpus = *req.CPUs
	}
	if req.Memory != nil && f.chance(50) {
		b.memory = *req.Memory
	} else if req.Memory != nil {
		b.memory = (*req.Memory + 1023) / 1024 * 1024
	}
	org.boxes++
	org.created++
	f.boxes[b.id], f.names[name] = b, b
	f.mu.Unlock()
	if f.hooks.midway != nil {
		f.hooks.midway(b)
	}
	f.pause()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left[b.id] = true
	f.print("Executing job job_id=%d job_type=CREATE_BOX resource_type=box resource_id=%s", f.serial, b.id)
	f.print("created box id=core%s name=%s image=%s", b.id, b.id, req.Image)
	f.print("Job completed successfully job_id=%d job_type=CREATE_BOX resource_type=box resource_id=%s", f.serial, b.id)
	b.status = "running"
	close(b.settled)
	return 201, b.json()
}
