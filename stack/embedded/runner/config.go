package runner

import (
	"errors"
	"strings"
	"time"

	"chaos/stack/embedded/bugs"
	"chaos/stack/embedded/sandbox"
)

// Config is what the runner role reads from its standard input. Token, APIURL, APIToken and Dir are
// required. The settings in milliseconds stand for the default in their comment when they are 0.
type Config struct {
	Token       string `json:"token"`        // bearer token that callers of the runner must present
	APIURL      string `json:"api_url"`      // the API without a path, for example http://127.0.0.1:3000
	APIToken    string `json:"api_token"`    // bearer token the runner presents to the API
	StackID     string `json:"stack_id"`     // CHAOS_STACK in the environment of every process of a box
	Dir         string `json:"dir"`          // private directory; boxes live in Dir/boxes/<API box id>
	SandboxMode int    `json:"sandbox_mode"` // a sandbox.Mode
	Bugs        string `json:"bugs"`         // seeded bugs to switch on, comma-separated
	Listen      string `json:"listen"`       // address to serve at, host:port; "" = a free port of the loopback interface
	Log         string `json:"log"`          // where the log goes, as journal.Open reads it; "" = nowhere

	SyncMillis     int `json:"sync_millis"`      // between two reports of the boxes to the API; 1,000
	PollWaitMillis int `json:"poll_wait_millis"` // how long the API may hold a poll for jobs; 1,000
	PingMillis     int `json:"ping_millis"`      // between two WebSocket pings; 15,000
	SilenceMillis  int `json:"silence_millis"`   // how long a caller may send nothing, not even the answer to a ping; 45,000

	KillGraceMillis int `json:"kill_grace_millis"` // SIGTERM at the end of the time limit to SIGKILL; 2,000

	// AdoptMillis is how long boxes wait for another runner when this one is gone; 0 = they end with it.
	AdoptMillis int `json:"adopt_millis"`
	// Lifeline is a descriptor of the process, the read end of a pipe: boxes end when its other end is
	// closed. 0 = none.
	Lifeline int `json:"lifeline"`

	// The reaper of executions nobody is attached to.
	ReapTickMillis       int `json:"reap_tick_millis"`       // between two looks; 30,000
	ReconnectGraceMillis int `json:"reconnect_grace_millis"` // alone for this long: SIGHUP; 300,000
	ShutdownGraceMillis  int `json:"shutdown_grace_millis"`  // SIGHUP to SIGTERM, and SIGTERM to SIGKILL; 30,000
	MaxLifetimeMillis    int `json:"max_lifetime_millis"`    // reaped at this age even when attached; 86,400,000
	KeepFinishedMillis   int `json:"keep_finished_millis"`   // a finished execution is forgotten after this; 300,000
}

var errConfig = errors.New("invalid configuration: token, API address and token, and directory are required")

// settled is a Config with its defaults filled in and its bugs parsed.
type settled struct {
	Config
	mode           sandbox.Mode
	bugs           bugs.Set
	sync           time.Duration
	pollWait       time.Duration
	ping           time.Duration
	silence        time.Duration
	killGrace      time.Duration
	linger         time.Duration
	reapTick       time.Duration
	reconnectGrace time.Duration
	shutdownGrace  time.Duration
	maxLifetime    time.Duration
	keepFinished   time.Duration
}

func (c Config) settle() (settled, error) {
	if c.Token == "" || c.APIURL == "" || c.APIToken == "" || c.Dir == "" {
		return settled{}, errConfig
	}
	set, err := bugs.Parse(c.Bugs)
	if err != nil {
		return settled{}, err
	}
	c.APIURL = strings.TrimSuffix(c.APIURL, "/")
	return settled{
		Config:         c,
		mode:           sandbox.Mode(c.SandboxMode),
		bugs:           set,
		sync:           millis(c.SyncMillis, 1_000),
		pollWait:       millis(c.PollWaitMillis, 1_000),
		ping:           millis(c.PingMillis, 15_000),
		silence:        millis(c.SilenceMillis, 45_000),
		killGrace:      millis(c.KillGraceMillis, 2_000),
		linger:         time.Duration(c.AdoptMillis) * time.Millisecond,
		reapTick:       millis(c.ReapTickMillis, 30_000),
		reconnectGrace: millis(c.ReconnectGraceMillis, 300_000),
		shutdownGrace:  millis(c.ShutdownGraceMillis, 30_000),
		maxLifetime:    millis(c.MaxLifetimeMillis, 86_400_000),
		keepFinished:   millis(c.KeepFinishedMillis, 300_000),
	}, nil
}

func millis(v, def int) time.Duration {
	if v <= 0 {
		v = def
	}
	return time.Duration(v) * time.Millisecond
}
