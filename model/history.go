package model

import (
	"cmp"
	"slices"
	"time"
)

// Outcome is how a call ended. There are three ways, never two: a call without an answer may have
// happened or not.
type Outcome string

// The outcomes.
const (
	OK       Outcome = "ok"       // answered, and the answer says it worked
	Rejected Outcome = "rejected" // answered, and the answer says it did not
	Unknown  Outcome = "unknown"  // no answer: it may have happened or not
)

// Harness is the step index of calls that no step asked for: final reads and cleaning up.
const Harness = -1

// Operations on the wire, as Call.Op names them.
const (
	OpCreate  = "create"
	OpGet     = "get"
	OpList    = "list"
	OpStart   = "start"
	OpStop    = "stop"
	OpRemove  = "remove"
	OpExec    = "exec"
	OpAttach  = "attach"
	OpInfo    = "info"
	OpSignal  = "signal"
	OpKill    = "kill"
	OpResize  = "resize"
	OpMetrics = "metrics"
	OpProbe   = "probe"
)

// Call is one exchange with the stack: an HTTP request and its answer, or an attach session.
type Call struct {
	ID      int     `json:"id"`                // unique in its history, in order of invocation
	Step    int     `json:"step"`              // index of the step, or Harness
	Client  string  `json:"client"`            // who, "" for the harness
	Op      string  `json:"op"`                // one of the Op constants
	Variant string  `json:"variant,omitempty"` // what is special about the request, e.g. "cpus-zero"; "" = nothing
	Box     Ref     `json:"box,omitempty"`
	BoxID   string  `json:"box_id,omitempty"`
	Exec    Ref     `json:"exec,omitempty"`
	ExecID  string  `json:"exec_id,omitempty"`
	Name    string  `json:"name,omitempty"`  // box name asked for
	Route   string  `json:"route,omitempty"` // of a probe: what it tried
	Invoke  int64   `json:"invoke"`          // nanoseconds since the run began, monotonic
	Return  int64   `json:"return"`
	Outcome Outcome `json:"outcome"`
	Status  int     `json:"status,omitempty"`  // HTTP status, 0 without an answer
	Body    string  `json:"body,omitempty"`    // at most MaxBody bytes of the answer
	Error   string  `json:"error,omitempty"`   // what the transport said when there was no answer
	GaveUp  bool    `json:"gave_up,omitempty"` // the plan told the client not to wait for the answer
	Reused  bool    `json:"reused,omitempty"`  // sent over a connection that had carried requests before: it may have been closing
	Excused string  `json:"-"`                 // the fault that excuses that there was no answer, for the judge
	Conns   int     `json:"conns,omitempty"`   // connections used; more than one means the request was sent again behind our back

	CPUs      int              `json:"cpus,omitempty"`       // of a create: asked for, 0 = not
	MemoryMiB int              `json:"memory_mib,omitempty"` // of a create: asked for, 0 = not
	Boxes     []BoxView        `json:"boxes,omitempty"`      // boxes in the answer; of a list, those with the run's prefix
	Others    int              `json:"others,omitempty"`     // of a list: boxes in it that are not this run's
	Counters  map[string]int64 `json:"counters,omitempty"`   // of metrics: the whole numbers in the answer
	// Garbled is what is wrong with the body of a success, so that it could not be read; "" = nothing.
	Garbled string `json:"garbled,omitempty"`

	View    *ExecView `json:"exec_view,omitempty"` // of an info: the execution
	Payload *Payload  `json:"payload,omitempty"`   // of an exec: what it runs
	Signal  int       `json:"signal,omitempty"`
	// ReadOnly tells that an attach asked for a session without input.
	ReadOnly bool    `json:"read_only,omitempty"`
	Rows     int     `json:"rows,omitempty"`
	Cols     int     `json:"cols,omitempty"`
	Attach   *Attach `json:"attach,omitempty"`
}

// MaxBody is how many bytes of an answer a history keeps.
const MaxBody = 4096

// BoxView is a box as an answer shows it.
type BoxView struct {
	Ref    Ref    `json:"ref,omitempty"` // which of the plan's boxes it is, "" if none
	ID     string `json:"id"`
	Name   string `json:"name,omitempty"`
	Status string `json:"status"`

	CPUs      int    `json:"cpus,omitempty"`
	MemoryMiB int    `json:"memory_mib,omitempty"`
	Created   string `json:"created,omitempty"` // as the server writes it
	Updated   string `json:"updated,omitempty"`
}

// ExecView is an execution as an answer shows it.
type ExecView struct {
	ID     string `json:"id,omitempty"`
	Status string `json:"status"`
	Exit   *int   `json:"exit,omitempty"`
}

// Terminal reports whether the execution has ended.
func (v *ExecView) Terminal() bool {
	return v != nil && (v.Status == "completed" || v.Status == "killed" || v.Status == "timed_out")
}

// Attach is what an attach session carried.
type Attach struct {
	Frames   []Frame `json:"frames"`
	ReadOnly bool    `json:"read_only,omitempty"`
	Cut      bool    `json:"cut,omitempty"`       // we cut the connection on purpose
	TimedOut bool    `json:"timed_out,omitempty"` // we gave up waiting
	Close    int     `json:"close,omitempty"`     // WebSocket close code, 0 = the connection ended without one
	// Opened is when the handshake was answered, in nanoseconds since the run began; 0 = not recorded.
	Opened int64         `json:"opened,omitempty"`
	Slow   time.Duration `json:"slow,omitempty"` // nothing was read for this long after that
	Sent   int           `json:"sent,omitempty"` // bytes of input that the connection took
	EOF    int64         `json:"eof,omitempty"`  // when the end of the input was sent, 0 = it was not
}

// Frame kinds. FrameOut and FrameErr carry bytes, FrameExit a code, FrameError a message, FrameOther anything unknown.
const (
	FrameOut   = "out"
	FrameErr   = "err"
	FrameExit  = "exit"
	FrameError = "error"
	FrameOther = "other"
)

// Frame is one message of the server.
type Frame struct {
	At   int64  `json:"at"`
	Kind string `json:"kind"`
	Data []byte `json:"data,omitempty"`
	Exit int    `json:"exit,omitempty"`
}

// Bytes returns what the session carried of the stream ("o" or "e"), in order.
func (a *Attach) Bytes(stream byte) []byte {
	kind := FrameOut
	if stream == Err {
		kind = FrameErr
	}
	var out []byte
	for _, f := range a.Frames {
		if f.Kind == kind {
			out = append(out, f.Data...)
		}
	}
	return out
}

// Exit returns the first exit frame.
func (a *Attach) Exit() (Frame, bool) {
	for _, f := range a.Frames {
		if f.Kind == FrameExit {
			return f, true
		}
	}
	return Frame{}, false
}

// EndedInput reports whether the session has told the exec for sure that its input is over. What was
// sent just before a connection went may be lost.
func (a *Attach) EndedInput() bool {
	if a == nil || a.EOF == 0 || a.Cut {
		return false
	}
	_, exited := a.Exit()
	return exited || a.TimedOut
}

// JournalEntry is one line of the runner's log that concerns this run.
type JournalEntry struct {
	At      int64  `json:"at"` // nanoseconds since the run began, by the wall clock; for reading, not for judging
	Unit    string `json:"unit"`
	Message string `json:"message"`
}

// Journal is the runner's log as read after the run.
type Journal struct {
	Kind    string         `json:"kind"` // what it was read with, "" = it could not be read
	Entries []JournalEntry `json:"entries"`
	// Lines counts what had been read of the runner's log by then, whatever it is about.
	Lines int `json:"lines,omitempty"`
	// Foreign lists box ids in the runner's log of this time span that no create of the campaign
	// accounts for. It is only filled on a stack that nobody else uses.
	Foreign   []string `json:"foreign,omitempty"`
	Exclusive bool     `json:"exclusive,omitempty"` // Foreign was looked for
	Problem   string   `json:"problem,omitempty"`   // why it must not be judged by (lost lines, not readable)
}

// JournalLost is the problem of a journal that dropped lines: a judge that goes by it may miss what
// happened, or believe what did not.
const JournalLost = "the journal dropped lines"

// Residue is something of a removed box that is still there.
type Residue struct {
	BoxID string `json:"box_id"`
	What  string `json:"what"` // e.g. "process 4711: sleep 60", "directory …"
}

// Limits are the deadlines that promises are judged by.
type Limits struct {
	Call     time.Duration `json:"call"`     // longest wait for an answer
	Resolve  time.Duration `json:"resolve"`  // an exec must end this soon after its command ends or its box goes
	Grace    time.Duration `json:"grace"`    // what outlives its time limit by this is killed
	Converge time.Duration `json:"converge"` // a status must become what was accepted this soon
	Slot     time.Duration `json:"slot"`     // an attach may be refused for this long after the one before it ended
	Stall    time.Duration `json:"stall"`    // when the machine stood still for longer, deadlines are not judged
}

// Meta says where a history comes from and what may be judged by it.
type Meta struct {
	Profile string    `json:"profile"`
	Flags   string    `json:"flags,omitempty"` // of the contract, as ParseFlags reads them; "" = the profile's own
	Token   string    `json:"token"`           // prefix of every name and payload token of this run
	Seed    int64     `json:"seed"`
	Stack   string    `json:"stack"` // what was tested, for people
	Began   time.Time `json:"began"`
	Limits  Limits    `json:"limits"`
	// Quota is how many boxes the organization of this run may have at once, 0 = not known. It is only
	// known when the run is Alone.
	Quota int `json:"quota,omitempty"`
	// Alone tells that nobody else acts for the organization of this run, or ever did.
	Alone bool `json:"alone,omitempty"`
	// OtherTenant tells that there was a key of another organization to try things with.
	OtherTenant bool `json:"other_tenant,omitempty"`
	// ExecLogged tells that the runner writes a line for every exec it starts.
	ExecLogged bool `json:"exec_logged,omitempty"`
	// ResidueChecked tells that the machine was searched for leftovers of removed boxes.
	ResidueChecked bool          `json:"residue_checked"`
	Stalled        time.Duration `json:"stalled"`           // longest the machine stood still during the run
	Aborted        string        `json:"aborted,omitempty"` // why the run could not be carried out to its end
	// Messages is what the scheduler did to messages, in order of time.
	Messages []Message `json:"messages,omitempty"`
	// Faults is what was broken on purpose during the run, in order of time.
	Faults []Fault `json:"faults,omitempty"`
}

// History is everything one run of a plan sent and saw.
type History struct {
	Meta    Meta      `json:"meta"`
	Plan    Plan      `json:"-"`
	Calls   []Call    `json:"calls"`
	Journal Journal   `json:"journal"`
	Residue []Residue `json:"residue,omitempty"`
}

// StepAction returns the action of the step that made the call, or the operation for the harness.
func (h *History) StepAction(c *Call) string {
	if c.Step >= 0 && c.Step < len(h.Plan.Steps) {
		return h.Plan.Steps[c.Step].Action
	}
	return c.Op
}

// Execs returns the exec calls that started something, in order of invocation.
func (h *History) Execs() []*Call {
	var out []*Call
	for i := range h.Calls {
		if c := &h.Calls[i]; c.Op == OpExec && c.Outcome == OK && c.ExecID != "" {
			out = append(out, c)
		}
	}
	return out
}

// Sort puts the entries in order of time; those of one moment keep their order.
func (j *Journal) Sort() {
	slices.SortStableFunc(j.Entries, func(a, b JournalEntry) int { return cmp.Compare(a.At, b.At) })
}
