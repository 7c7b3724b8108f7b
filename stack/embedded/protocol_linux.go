package embedded

import (
	"time"

	"chaos/stack"
)

// The keeper reads one order and then commands from its standard input, and writes reports to its standard
// output, one JSON object a line each. Each command is answered by a report of kind "done" with its serial.

// keeperRole is the child role of the keeper.
const keeperRole = "keeper"

// serviceVar marks the API and the runner of a stack, stackVar everything in its boxes.
const (
	serviceVar = "CHAOS_SERVICE"
	stackVar   = "CHAOS_STACK"
	boxVar     = "BOXLITE_BOX_ID"
)

// order is what the keeper is to start.
type order struct {
	ID          string        `json:"id"`
	Dir         string        `json:"dir"`
	Bugs        string        `json:"bugs"`
	Profile     string        `json:"profile"`
	Autostart   bool          `json:"autostart"`
	BoxLimit    int           `json:"box_limit"`
	FileJournal bool          `json:"file_journal"`
	Sandbox     *int          `json:"sandbox"`
	CreateDelay time.Duration `json:"create_delay"`
	DelayMost   time.Duration `json:"create_delay_most"`
	Sync        time.Duration `json:"sync"`
	Work        string        `json:"work"` // host:port of what the runner is to take for the API; "" = the API itself
	Key         string        `json:"key"`
	OtherKey    string        `json:"other_key"`
	RunnerToken string        `json:"runner_token"`
	AdminToken  string        `json:"admin_token"`
}

// The verbs of commands.
const (
	verbKill   = "kill"
	verbStop   = "stop"
	verbStart  = "start"
	verbFreeze = "freeze"
	verbThaw   = "thaw"
	verbRotate = "rotate"
)

// command is something the keeper is to do to a part.
type command struct {
	Serial int        `json:"serial"`
	Verb   string     `json:"verb"`
	Part   stack.Part `json:"part"`
}

// report is what the keeper has to tell. Kind decides which other fields are set.
type report struct {
	Kind  string `json:"kind"`  // "dir", "api", "ready", "dead", "done", "stopped"
	Error string `json:"error"` // of dead, done and stopped; "" = done or stopped without trouble

	Serial      int  `json:"serial,omitempty"`      // of done
	Unsupported bool `json:"unsupported,omitempty"` // of done: this stack can never do it

	Dir    string   `json:"dir,omitempty"` // of dir and ready
	API    string   `json:"api,omitempty"` // address, of api and ready
	Runner string   `json:"runner,omitempty"`
	PIDs   PIDs     `json:"pids"` // of ready and done
	Notes  []string `json:"notes,omitempty"`
	Log    logPlace `json:"log"`
}

// logPlace is where the journal of the stack can be read: a directory with the socket of its
// journald, or a file.
type logPlace struct {
	Dir     string `json:"dir,omitempty"`
	Varlink string `json:"varlink,omitempty"`
	File    string `json:"file,omitempty"`
}
