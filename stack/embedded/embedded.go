package embedded

import (
	"errors"
	"time"

	"chaos/model"
	"chaos/stack/embedded/bugs"
	"chaos/stack/embedded/sandbox"
)

// ErrUnsupported is what Start returns on systems other than Linux.
var ErrUnsupported = errors.New("the embedded stack needs Linux")

// The two organizations that every stack has from the start. Their ids are also their path prefixes.
const (
	Org      = "chaos"
	OtherOrg = "other"
)

// Options say what kind of stack to start. The zero value is the clean stack with the best
// isolation and the best journal that the machine allows.
type Options struct {
	Bugs bugs.Set
	// Profile is the kind of server to play: "cloud" or "serve"; "" = cloud.
	Profile string
	// Flags are where the contract differs from the profile's own. Contract tells which can be had.
	Flags model.Flags
	// Dir is where the private directory of the stack is made; "" = the system's place for temporary
	// files. It must exist. A journald of its own needs a path below 80 bytes.
	Dir string
	// BoxLimit is how many boxes each of the two organizations may have at once; 0 = 200.
	BoxLimit int
	// ForceFileJournal takes a file of JSON lines even where a journald could be started.
	ForceFileJournal bool
	// Sandbox forces the isolation of boxes; nil = what sandbox.Probe finds.
	Sandbox *sandbox.Mode
	// CreateDelay holds every new box back, as the boot of a virtual machine would.
	CreateDelay time.Duration
	// Schedule puts a message scheduler between client and API, and between API and runner.
	Schedule bool
	// CreateDelayMost, if it is more than CreateDelay, makes the delay differ from box to box, up to that.
	CreateDelayMost time.Duration
	// SyncInterval is the time between two reports of the runner about its boxes; 0 = one second.
	SyncInterval time.Duration
}

// Residue is something that the runner has on the machine: a process, or the directory of a box.
// It is only a leftover when its box should be gone; boxes that live are in the list, too.
type Residue struct {
	BoxID   string // "" when a process does not say
	PID     int    // 0 for a directory
	Command string // of the process
	Path    string // of the directory
}

// PIDs are the processes of a stack itself. Journald is 0 when the journal is a file.
type PIDs struct {
	Keeper   int `json:"keeper"`
	API      int `json:"api"`
	Runner   int `json:"runner"`
	Journald int `json:"journald"`
}
