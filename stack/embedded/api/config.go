package api

import (
	"errors"
	"time"

	"chaos/stack/embedded/bugs"
)

// Config is what the api role reads from its standard input. Keys and RunnerToken are required.
type Config struct {
	Keys        []Key  `json:"keys"`         // who may call; several keys may share one organization
	RunnerToken string `json:"runner_token"` // bearer token of the runner, in both directions
	AdminToken  string `json:"admin_token"`  // bearer token of who may open organizations; "" = nobody may
	Bugs        string `json:"bugs"`         // seeded bugs to switch on, comma-separated
	Listen      string `json:"listen"`       // address to serve at, host:port; "" = a free port of the loopback interface
	DataDir     string `json:"data_dir"`     // private directory for the records, which then survive a restart; "" = in memory only
	Log         string `json:"log"`          // where the log goes, as journal.Open reads it; "" = nowhere
	Profile     string `json:"profile"`      // which server to play, "cloud" or "serve"; "" = "cloud"
	Autostart   bool   `json:"autostart"`    // an exec on a stopped box starts it, unless the box was made with auto_resume=false
	StackID     string `json:"stack_id"`     // CHAOS_STACK in the environment of what the API itself runs, see path-bypass
	BoxLimit    int    `json:"box_limit"`    // boxes an organization of Keys may have at once; 0 = DefaultBoxLimit
	// CreateDelayMillis holds back the job of a new box, as the boot of a virtual machine would, so
	// that the states in between can be seen.
	CreateDelayMillis int `json:"create_delay_millis"`
	// CreateDelayMostMillis, if it is more, makes that time differ from box to box.
	CreateDelayMostMillis int `json:"create_delay_most_millis"`
	// DatabaseMicros is how long the API awaits its database between reading and writing. The records
	// of this API are read from memory, so without it that time, in which BoxLite's API serves other requests,
	// would not exist. 0 = DefaultDatabaseMicros, negative = none.
	DatabaseMicros int `json:"database_micros"`
	// ReadyWaitMillis bounds how long create, start and exec wait for the box to run. 0 = 30,000. The
	// profile serve waits as long as its caller does.
	ReadyWaitMillis int `json:"ready_wait_millis"`
	// SweepMillis is the tick of the automatic stop and delete of idle boxes. 0 = 5,000.
	SweepMillis int `json:"sweep_millis"`
}

// Key lets its holder act for one organization.
type Key struct {
	Key string `json:"key"`
	Org string `json:"org"` // organization id, which is also the path prefix
}

// Defaults of Config.
const (
	DefaultBoxLimit       = 200
	DefaultDatabaseMicros = 3000
)

// The profiles.
const (
	profileCloud = "cloud"
	profileServe = "serve"
)

var errConfig = errors.New("invalid configuration: keys with an organization, a runner token and a profile, if any, of cloud or serve are required")

// settled is a Config with its defaults filled in and its bugs parsed.
type settled struct {
	Config
	bugs      bugs.Set
	serve     bool   // the profile is serve
	base      string // what stands before /v1
	database  time.Duration
	readyWait time.Duration // 0 = no limit
	sweep     time.Duration
}

func (c Config) settle() (settled, error) {
	if len(c.Keys) == 0 || c.RunnerToken == "" {
		return settled{}, errConfig
	}
	for _, k := range c.Keys {
		if k.Key == "" || k.Org == "" || reserved[k.Org] {
			return settled{}, errConfig
		}
	}
	set, err := bugs.Parse(c.Bugs)
	if err != nil {
		return settled{}, err
	}
	switch c.Profile {
	case "", profileCloud, profileServe:
	default:
		return settled{}, errConfig
	}
	if c.BoxLimit == 0 {
		c.BoxLimit = DefaultBoxLimit
	}
	out := settled{
		Config:    c,
		bugs:      set,
		base:      "/api",
		database:  time.Duration(orDefault(c.DatabaseMicros, DefaultDatabaseMicros)) * time.Microsecond,
		readyWait: time.Duration(orDefault(c.ReadyWaitMillis, 30_000)) * time.Millisecond,
		sweep:     time.Duration(orDefault(c.SweepMillis, 5_000)) * time.Millisecond,
	}
	if c.Profile == profileServe {
		out.serve, out.base, out.readyWait = true, "", 0
	}
	return out, nil
}

func orDefault(v, def int) int {
	if v == 0 {
		return def
	}
	return v
}
