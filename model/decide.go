package model

// Decisions say of calls without a usable answer, by id, whether they took effect. What is not in
// it is not known.
type Decisions map[int]bool

// jobOf is the runner's job for an operation on a box.
var jobOf = map[string]string{OpCreate: "CREATE_BOX", OpStart: "START_BOX", OpStop: "STOP_BOX", OpRemove: "DESTROY_BOX"}

// Decide settles calls without a usable answer by what the runner logged, as tests of etcd settle
// them by the write-ahead log. It decides only what the log proves: a log that is not complete, a
// job that failed, or more open calls than jobs leave a call undecided.
func Decide(h *History) Decisions {
	out := Decisions{}
	if h.Journal.Kind == "" || h.Journal.Problem != "" {
		return out
	}
	d := newDecider(h)
	for i := range h.Calls {
		c := &h.Calls[i]
		if !c.Undecided() {
			continue
		}
		took, known := false, false
		switch c.Op {
		case OpCreate:
			known = d.made[d.ids[c.Name]] && d.creates[c.Name] == 1
			took = known
		case OpStart, OpStop, OpRemove:
			if d.logsJobs(h) {
				took, known = d.job(c)
			}
		case OpExec:
			took, known = d.exec(c)
		}
		// What the runner had not done when it destroyed the box it never did; before that it may be on its way.
		if known && (took || d.gone[c.BoxID]) {
			out[c.ID] = took
		}
	}
	return out
}

// decider counts what the log says and what the answers account for.
type decider struct {
	made    map[string]bool   // ids of boxes that the runner made
	gone    map[string]bool   // ids of boxes that the runner destroyed
	ids     map[string]string // id of the box of a name, where some answer showed it
	creates map[string]int    // creates of a name that may have made a box
	begun   map[[2]string]int // jobs, by type and box
	failed  map[[2]string]bool
	ok      map[[2]string]int // accepted calls, by operation and box
	open    map[[2]string]int // undecided calls, by operation and box
	started map[string]int    // execs that the runner started and no answer accounts for, by box
	logged  bool
	joined  bool // an accepted stop may have had no job of its own: it joined one, or the box had stopped
}

func newDecider(h *History) *decider {
	d := &decider{
		made: map[string]bool{}, gone: map[string]bool{}, ids: map[string]string{}, creates: map[string]int{}, begun: map[[2]string]int{}, failed: map[[2]string]bool{},
		ok: map[[2]string]int{}, open: map[[2]string]int{}, started: map[string]int{}, logged: h.Meta.ExecLogged,
	}
	if c, err := h.Meta.Contract(); err == nil {
		d.joined = c.Lifecycle().SyncStop
	}
	answered := map[string]bool{}
	for i := range h.Calls {
		c := &h.Calls[i]
		for _, b := range c.Boxes {
			d.ids[b.Name] = b.ID
		}
		switch {
		case c.Undecided():
			d.open[[2]string{c.Op, c.BoxID}]++
		case c.Outcome == OK:
			d.ok[[2]string{c.Op, c.BoxID}]++
		}
		if c.Op == OpCreate && c.Outcome != Rejected || c.Op == OpCreate && c.Undecided() {
			d.creates[c.Name]++
		}
		if c.Op == OpExec && c.ExecID != "" {
			answered[c.ExecID] = true
		}
	}
	for _, e := range h.Journal.Entries {
		s, job, ok := Sight(e.Message)
		if !ok {
			continue
		}
		switch s.What {
		case SawCreate:
			d.made[s.BoxID] = true
		case SawJob:
			d.begun[[2]string{job, s.BoxID}]++
		case SawDone:
			d.gone[s.BoxID] = d.gone[s.BoxID] || job == jobOf[OpRemove]
		case SawFailed:
			d.failed[[2]string{job, s.BoxID}] = true
		case SawExec:
			if !answered[s.ExecID] {
				d.started[s.BoxID]++
			}
		}
	}
	return d
}

// logsJobs reports whether the runner logs the jobs it is given: those of all boxes it made are there.
func (d *decider) logsJobs(h *History) bool {
	some := false
	for i := range h.Calls {
		c := &h.Calls[i]
		if c.Op != OpCreate || c.Outcome != OK || c.BoxID == "" {
			continue
		}
		if some = true; d.begun[[2]string{jobOf[OpCreate], c.BoxID}] == 0 {
			return false
		}
	}
	return some
}

// job decides a call whose effect is a job of the runner. An accepted start may have needed none.
func (d *decider) job(c *Call) (took, known bool) {
	call, job := [2]string{c.Op, c.BoxID}, [2]string{jobOf[c.Op], c.BoxID}
	begun, ok := d.begun[job], d.ok[call]
	switch {
	case d.failed[job]:
		return false, false
	case begun == 0:
		return false, true
	case c.Op == OpStart:
		return false, false
	case begun == ok && !(d.joined && c.Op == OpStop):
		return false, true
	case begun == ok+d.open[call]:
		return true, true
	}
	return false, false
}

func (d *decider) exec(c *Call) (took, known bool) {
	if !d.logged {
		return false, false
	}
	extra := d.started[c.BoxID]
	switch {
	case extra == 0:
		// One that started no command may have started the box for it.
		return false, d.begun[[2]string{jobOf[OpStart], c.BoxID}] == 0
	case extra == d.open[[2]string{OpExec, c.BoxID}]:
		return true, true
	}
	return false, false
}
