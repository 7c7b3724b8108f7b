// Package live is a stack that is already running: BoxLite's API with its runner, or the embedded
// stack of another process. Only boxes that chaos made are ever touched: the engine works with ids that
// its own creates returned, and a guard in front of the client refuses what is about any other box that
// is known to be there. What a run makes stands in a ledger first, so that it can be swept away.
package live

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"chaos/model"
	"chaos/stack"
)

// Config says which stack.
type Config struct {
	URL string // base without /v1, e.g. http://127.0.0.1:3000/api
	Key string // bearer token
	// Profile and Flags are the contract that the stack is judged by; "" is cloud, and a flag that is
	// not given is the profile's own.
	Profile string
	Flags   model.Flags
	// OtherKey is the bearer token of another organization, which boxes must be hidden from. "" = there
	// is none, and that is not tried.
	OtherKey string
	// Prefix is the path prefix, for a stack that does not tell it; "" = what /v1/me says.
	Prefix string
	// Host is one that is not this machine and that the user has confirmed, "" = none.
	Host     string
	Image    string   // of boxes, "" = alpine:latest
	Caps     Caps     // those that are 0 are DefaultCaps
	Lifetime Lifetime // of boxes
	Ledger   string   // folder of ledgers, "" = none is kept and nothing can be swept
	// Journal is where the runner's log is, as ParseJournal reads it, "" = it is not read.
	Journal string
	// Control names the units of the stack's parts, as ParseControl reads them, "" = they are left alone.
	Control string
}

// Where the keys are given, for error messages.
const (
	fromKey      = "--key or BOXLITE_API_KEY"
	fromOtherKey = "--other-key or BOXLITE_OTHER_API_KEY"
)

// Check returns a ConfigError for what can be seen to be wrong without asking the stack. The error
// repeats no secret.
func (cfg Config) Check() error {
	u, err := url.Parse(cfg.URL)
	switch {
	case strings.ContainsAny(cfg.URL, "?#"):
		return &ConfigError{fmt.Sprintf("stack URL %q has a query or fragment (what follows ? or #); give the base only, and the key with %s", Shown(cfg.URL), fromKey)}
	case err == nil && u.User != nil:
		return &ConfigError{"the stack URL holds a user or password; give the key with " + fromKey}
	case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
		return &ConfigError{fmt.Sprintf("stack URL %q is not an http or https URL, like http://127.0.0.1:3000/api", Shown(cfg.URL))}
	case !loopback(u.Hostname()) && cfg.Host == "":
		return &ConfigError{fmt.Sprintf("stack URL %q is not on this machine; if that stack may be worked hard, say --yes-this-is-not-loopback %s", cfg.URL, u.Hostname())}
	case !loopback(u.Hostname()) && cfg.Host != u.Hostname():
		return &ConfigError{fmt.Sprintf("stack URL %q is not on %s, which --yes-this-is-not-loopback names", cfg.URL, cfg.Host)}
	}
	if n, err := strconv.ParseUint(u.Port(), 10, 16); u.Port() != "" && (err != nil || n == 0) {
		return &ConfigError{fmt.Sprintf("stack URL %q: there is no port %s; want 1 to 65535", cfg.URL, u.Port())}
	}
	if _, err := ParseJournal(cfg.Journal); err != nil {
		return &ConfigError{"--journal " + cfg.Journal + ": " + err.Error()}
	}
	if _, err := ParseControl(cfg.Control); err != nil {
		return &ConfigError{"--control " + cfg.Control + ": " + err.Error()}
	}
	for _, key := range [][2]string{{fromKey, cfg.Key}, {fromOtherKey, cfg.OtherKey}} {
		if strings.ContainsFunc(key[1], unicode.IsControl) {
			return &ConfigError{key[0] + ": the key holds a control character, such as the end of a line"}
		}
	}
	return nil
}

// Shown returns what may be printed of a text that should be a stack URL: a user, password, query and
// fragment may be secrets.
func Shown(text string) string {
	if i := strings.IndexAny(text, "?#"); i >= 0 {
		text = text[:i] + text[i:i+1] + "…"
	}
	i := strings.LastIndex(text, "@")
	if i < 0 {
		return text
	}
	scheme, _, has := strings.Cut(text[:i], "://")
	if !has {
		return "…" + text[i:]
	}
	return scheme + "://…" + text[i:]
}

// limits are generous: a create waits up to 30 s for its box to boot, and the caller must wait
// longer than the server does.
var limits = model.Limits{Call: 75 * time.Second, Resolve: 20 * time.Second, Grace: 2 * time.Second, Converge: 40 * time.Second, Slot: 15 * time.Second, Stall: 2 * time.Second}

// answerLimit is how long the stack may take to say who we are; a variable for tests only.
var answerLimit = 10 * time.Second

// Target is a live stack.
type Target struct {
	client             *stack.Client
	contract           model.Contract
	other, otherPrefix string // key of another organization, "" = none, and its path prefix
	dead               chan error
	book               *ledger // nil = none
	room               *room
	journal            *unitLog // nil = not read
	control            *control // nil = none
}

var (
	_ stack.Target   = (*Target)(nil)
	_ stack.Reserver = (*Target)(nil)
)

// Connect looks at the stack and returns it as a target. The path prefix is what /v1/me says.
func Connect(ctx context.Context, cfg Config) (*Target, error) {
	contract, ok := model.Lookup(cmp.Or(cfg.Profile, "cloud"), cfg.Flags)
	if !ok {
		return nil, &ConfigError{fmt.Sprintf("no profile is called %q; want %s", cfg.Profile, strings.Join(model.Profiles(), ", "))}
	}
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	prefix, err := whoAmI(ctx, cfg.URL, cfg.Key, fromKey)
	if err != nil {
		return nil, err
	}
	prefix = cmp.Or(cfg.Prefix, prefix)
	cfg.Caps = cfg.Caps.filled()
	t := &Target{contract: contract, other: cfg.OtherKey, dead: make(chan error, 1), room: newRoom(cfg.Caps)}
	t.client = stack.New(stack.Endpoint{URL: cfg.URL, Key: cfg.Key, Prefix: prefix})
	if err := t.prepare(ctx, cfg); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// prepare gets ready what the target needs besides the client.
func (t *Target) prepare(ctx context.Context, cfg Config) (err error) {
	prefix := t.client.Endpoint().Prefix
	if cfg.OtherKey != "" {
		if t.otherPrefix, err = whoAmI(ctx, cfg.URL, cfg.OtherKey, fromOtherKey); err != nil {
			return err
		}
		if prefix == "" || t.otherPrefix == "" || prefix == t.otherPrefix {
			return &ConfigError{"the other key does not show that it belongs to another organization: GET /v1/me gives both keys the same path prefix, or none"}
		}
	}
	if t.journal, err = openJournal(cfg.Journal); err != nil {
		return fmt.Errorf("--journal %s: %w", cfg.Journal, err)
	}
	if t.control, err = openControl(ctx, cfg, t.client); err != nil {
		return fmt.Errorf("--control %s: %w", cfg.Control, err)
	}
	if cfg.Ledger != "" {
		if t.book, err = openLedger(cfg.Ledger, t.client.Endpoint().URL, prefix); err != nil {
			return &ConfigError{fmt.Sprintf("cannot keep a ledger of boxes in %s (%v); name another folder with --ledger", cfg.Ledger, err)}
		}
	}
	t.client = t.client.Guarded(newGuard(cfg, t.book, t.stop))
	return nil
}

// stop ends the work on the stack.
func (t *Target) stop(err error) {
	select {
	case t.dead <- err:
	default:
	}
}

// whoAmI returns the path prefix of the organization that key belongs to. from says where the key is given.
func whoAmI(ctx context.Context, base, key, from string) (prefix string, err error) {
	c := stack.New(stack.Endpoint{URL: base, Key: key})
	defer c.Close()
	bounded, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	res, err := c.Do(bounded, stack.Request{Method: "GET", Path: "/me"})
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return "", fmt.Errorf("reach stack: GET %s/v1/me: no answer in %d s", strings.TrimRight(base, "/"), int(answerLimit.Seconds()))
	}
	if err != nil {
		return "", fmt.Errorf("reach stack: %w", err)
	}
	if res.Status == 401 || res.Status == 403 {
		return "", fmt.Errorf("reach stack: GET /v1/me answered %d: the key is not accepted; give it with %s", res.Status, from)
	}
	prefix, ok := principal(res.Body)
	if res.Status != 200 || !ok {
		return "", fmt.Errorf("reach stack: GET /v1/me answered %d and not who we are: is this a BoxLite API?", res.Status)
	}
	return prefix, nil
}

// principal reads who we are. Servers differ in what they say of it, but none says nothing: boxlite
// serve has no prefix, or null, and the oldest servers call it "prefix" and say no more.
func principal(body []byte) (prefix string, ok bool) {
	var me struct {
		Sub  string          `json:"sub"`
		Type string          `json:"principal_type"`
		Path json.RawMessage `json:"path_prefix"`
		Old  json.RawMessage `json:"prefix"`
	}
	if json.Unmarshal(body, &me) != nil {
		return "", false
	}
	for _, raw := range []json.RawMessage{me.Path, me.Old} {
		if prefix == "" && raw != nil && json.Unmarshal(raw, &prefix) != nil {
			return "", false
		}
	}
	return prefix, me.Sub != "" || me.Type != "" || me.Path != nil || me.Old != nil
}

// ConfigError is a mistake of whoever configured the target.
type ConfigError struct{ Text string }

func (e *ConfigError) Error() string { return e.Text }

// IsConfig reports whether err is a ConfigError.
func IsConfig(err error) bool {
	var c *ConfigError
	return errors.As(err, &c)
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// Close drops the client's connections, and lets go of the journal, the units and the ledger.
func (t *Target) Close() {
	t.client.Close()
	if t.journal != nil {
		t.journal.close()
	}
	if t.control != nil {
		t.control.close()
	}
	if t.book != nil {
		t.book.close()
		t.book = nil
	}
}

// Left returns how many boxes of this run may be on the stack now, and 0 where no ledger is kept.
func (t *Target) Left() int {
	if t.book == nil {
		return 0
	}
	return t.book.left()
}

// Client implements stack.Target.
func (t *Target) Client() *stack.Client { return t.client }

// Lease implements stack.Target: there is one organization for everything, and others may use it too.
func (t *Target) Lease(context.Context) (*stack.Lease, error) {
	return stack.Shared(t.client, t.other, t.otherPrefix), nil
}

// Profile implements stack.Target.
func (t *Target) Profile() string { return t.contract.Profile }

// Flags implements stack.Target.
func (t *Target) Flags() model.Flags { return t.contract.Changed() }

// Limits implements stack.Target.
func (t *Target) Limits() model.Limits { return limits }

// Scheduler implements stack.Target.
func (t *Target) Scheduler() stack.Scheduler { return nil }

// Describe implements stack.Target. The key never appears.
func (t *Target) Describe() string {
	if c := t.contract.String(); c != "cloud" {
		return t.client.Endpoint().URL + " as " + c
	}
	return t.client.Endpoint().URL
}

// Journal implements stack.Target.
func (t *Target) Journal() stack.JournalSource {
	if t.journal == nil {
		return nil
	}
	return t.journal
}

// Control returns the means to break parts of the stack and mend them, nil when there are none.
func (t *Target) Control() stack.Control {
	if t.control == nil {
		return nil
	}
	return t.control
}

// Exclusive implements stack.Target: others may use the stack.
func (t *Target) Exclusive() bool { return false }

// ExecLogged implements stack.Target.
func (t *Target) ExecLogged() bool { return false }

// Dead implements stack.Target.
func (t *Target) Dead() <-chan error { return t.dead }

// Residue implements stack.Target: the machine of a live stack is not searched.
func (t *Target) Residue(context.Context) ([]model.Residue, bool, error) { return nil, false, nil }
