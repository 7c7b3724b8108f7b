package api

import (
	"crypto/rand"
	"time"
)

// state is where a box is in its life. The caller sees status, which is coarser.
type state string

const (
	creating   state = "creating"
	configured state = "configured" // made and never started; only in the profile serve
	starting   state = "starting"
	started    state = "started"
	stopping   state = "stopping"
	stopped    state = "stopped"
	failed     state = "error"
	destroying state = "destroying"
	destroyed  state = "destroyed"
)

// status is the public name of a state.
func (s state) status() string {
	switch s {
	case creating, configured, starting:
		return "configured"
	case started:
		return "running"
	case stopping, destroying:
		return "stopping"
	case stopped:
		return "stopped"
	}
	return "unknown"
}

// statuses is every status a list may be filtered by.
var statuses = map[string]bool{
	"configured": true, "running": true, "stopping": true, "stopped": true,
	"paused": true, "failed": true, "unknown": true,
}

// record is one row. Values are copied out of the store; only store.go changes a row.
type record struct {
	seq  uint64 // order of insertion
	id   string
	org  string
	name string
	spec spec

	state   state
	desired state // started, stopped or destroyed: what the owner wants
	pending bool  // a job of this row is not finished
	job     *job  // that job
	version uint64
	coreID  string

	created, updated time.Time
	active           time.Time // last start or exec-family request, for auto_stop
}

// visible reports whether the owner may see the row.
func (r record) visible() bool { return r.desired != destroyed }

// boxJSON is a box on the wire.
type boxJSON struct {
	BoxID      string            `json:"box_id"`
	Name       string            `json:"name"`
	Status     string            `json:"status"`
	CreatedAt  string            `json:"created_at"`
	UpdatedAt  string            `json:"updated_at"`
	Image      string            `json:"image"`
	CPUs       int               `json:"cpus"`
	MemoryMiB  int               `json:"memory_mib"`
	DiskSizeGB int               `json:"disk_size_gb"`
	Labels     map[string]string `json:"labels"`
	AutoStop   int               `json:"auto_stop"`
	AutoDelete int               `json:"auto_delete"`
	AutoResume bool              `json:"auto_resume"`
}

func (r record) json() boxJSON {
	return boxJSON{
		BoxID: r.id, Name: r.name, Status: r.state.status(),
		CreatedAt: r.created.Format(time.RFC3339Nano), UpdatedAt: r.updated.Format(time.RFC3339Nano),
		Image: r.spec.Image, CPUs: r.spec.CPUs, MemoryMiB: r.spec.MemoryMiB, DiskSizeGB: r.spec.DiskSizeGB,
		Labels: map[string]string{}, AutoStop: r.spec.AutoStop, AutoDelete: r.spec.AutoDelete, AutoResume: r.spec.AutoResume,
	}
}

// Job types, as they appear in the runner's journal.
const (
	createBox  = "CREATE_BOX"
	startBox   = "START_BOX"
	stopBox    = "STOP_BOX"
	destroyBox = "DESTROY_BOX"
)

// job is one piece of work for the runner. All fields but done are guarded by the store's mutex
// until done is closed; from then on result, failure and lost do not change.
type job struct {
	seq   uint64 // order of the queue
	id    string
	kind  string
	boxID string
	spec  spec
	taker string // the owner it was handed to; "" = not handed out

	done    chan struct{} // closed when the job is completed and its result written
	failure string        // why it failed; "" = it did not
	lost    bool          // the row was not what the job expected, so nothing was written
	result  record        // the row right after the job
}

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// newID returns n random base62 characters.
func newID(n int) string {
	out := make([]byte, 0, n)
	var buf [32]byte
	for len(out) < n {
		_, _ = rand.Read(buf[:]) // never fails
		for _, b := range buf {
			if b < 4*62 && len(out) < n { // 248: every character equally likely
				out = append(out, base62[b%62])
			}
		}
	}
	return string(out)
}
