// Package repro writes a case as a program that needs no chaos: a shell script, a Go test or a pytest
// file. All three are written from one Program, so they send the same requests and check the same.
package repro

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"chaos/actions"
	"chaos/corpus"
	"chaos/model"
	"chaos/model/plantext"
	"chaos/stack"
)

// Program is a plan as requests, with one thing to check. Its JSON form is what the written files carry.
type Program struct {
	Case      string            `json:"case"`
	Signature string            `json:"signature"`
	Promise   string            `json:"promise"`
	Rate      string            `json:"rate"`
	Plan      []string          `json:"-"`      // as text
	Rounds    int               `json:"rounds"` // how often it is performed until it fails
	Other     bool              `json:"other"`  // it needs a key of another organization
	Calls     []Call            `json:"calls"`  // each client does its own in order
	Boxes     []string          `json:"boxes"`  // to be removed in the end
	Final     map[string]string `json:"final"`  // the status each box must come to, by ref
	Check     Check             `json:"check"`
}

// Call is one request, or one attach session.
type Call struct {
	N       int      `json:"n"`
	Client  string   `json:"client"`
	Op      string   `json:"op"`
	Wait    []string `json:"wait"` // refs that must be bound, or have failed to be
	Group   int      `json:"group"`
	Size    int      `json:"size"` // how many calls are in the group
	Gap     float64  `json:"gap"`  // seconds
	Box     string   `json:"box"`
	Exec    string   `json:"exec"`
	Bind    string   `json:"bind"`
	Name    string   `json:"name"` // of a create: with @RUN@ for the name of the run
	Method  string   `json:"method"`
	Path    string   `json:"path"` // below /v1; @BOX@ and @EXEC@ stand for ids
	Body    string   `json:"body"`
	Auth    string   `json:"auth"`  // "" own key, or wrong, missing, malformed, other
	Watch   string   `json:"watch"` // look at the box until this is its status
	Expect  string   `json:"expect"`
	Judge   bool     `json:"judge"` // the check is about this answer
	Rows    int      `json:"rows"`
	Cols    int      `json:"cols"`
	Session *Session `json:"session"`
}

// Session is an attach session, and what it must carry.
type Session struct {
	ReadOnly bool    `json:"ro"`
	Cut      int     `json:"cut"` // frames
	Slow     float64 `json:"slow"`
	Limit    float64 `json:"limit"` // seconds after which it should have ended
	Again    float64 `json:"again"` // seconds to try again for when refused with 409
	Runs     float64 `json:"runs"`  // seconds that the command surely takes
	Input    string  `json:"input"`
	Exit     int     `json:"exit"`
	Killed   bool    `json:"killed"` // the exit code is not the command's own
	Judge    bool    `json:"judge"`
	Out      Lines   `json:"out"`
	Err      Lines   `json:"err"`
}

// Lines are what a command writes to one stream: Head, N numbered lines, Foot.
type Lines struct {
	Head   string `json:"head"`
	Token  string `json:"token"`
	Stream string `json:"stream"`
	Seed   int    `json:"seed"`
	N      int    `json:"n"`
	Text   string `json:"text"`
	EOL    string `json:"eol"`
	Foot   string `json:"foot"`
}

// Check is what is wrong when the case fails.
type Check struct {
	Kind string `json:"kind"`
	Bad  []int  `json:"bad"`  // statuses
	Want []int  `json:"want"` // statuses, all others are bad
	Gone []int  `json:"gone"` // bad statuses of a get after the removal
}

// CannotError is why a case cannot be written as a program.
type CannotError struct{ Why string }

func (e *CannotError) Error() string { return e.Why }

func cannot(format string, args ...any) error { return &CannotError{fmt.Sprintf(format, args...)} }

// token begins the token of every exec. It is the same in every run: each has boxes of its own. It is as long as
// those of chaos, for where output is cut into pieces depends on how long its lines are.
const token = "chaos-repro0-100"

// maxRounds bounds how often a program performs its plan; miss is the chance that a bug is not seen.
const (
	maxRounds = 300
	miss      = 0.001
)

// New makes the program of c. The error is a CannotError when the plan or the promise needs more than
// the answers of the API.
func New(c *corpus.Case) (*Program, error) {
	if c.Plan.Scheduled() {
		return nil, cannot("its plan schedules messages, which only chaos can do; replay it with chaos replay")
	}
	p := &Program{Case: c.Name, Signature: c.Signature.String(), Promise: strings.TrimSuffix(c.Promise, "."), Final: map[string]string{}, Boxes: []string{},
		Rounds: min(maxRounds, corpus.RunsNeeded(c.Certificate.Low, miss)), Plan: strings.Split(strings.TrimSpace(plantext.Print(c.Plan)), "\n")}
	if c.Certificate.Runs > 0 {
		p.Rate = c.Certificate.String()
	}
	b := builder{p: p, c: c, plan: c.Plan, bound: map[model.Ref]bool{}, pay: map[model.Ref]model.Payload{}, boxOf: map[model.Ref]model.Ref{}}
	for _, s := range c.Plan.Steps {
		if s.Bind != "" {
			b.bound[s.Bind] = true
		}
	}
	for i, s := range c.Plan.Steps {
		if err := b.step(i, s); err != nil {
			return nil, err
		}
	}
	if err := b.check(); err != nil {
		return nil, err
	}
	return p, nil
}

type builder struct {
	p     *Program
	c     *corpus.Case
	plan  model.Plan
	bound map[model.Ref]bool
	pay   map[model.Ref]model.Payload
	boxOf map[model.Ref]model.Ref // of execs
}

// add appends what every call of step s has in common; only the first of a step waits and is in its group.
func (b *builder) add(s model.Step, c Call, first bool) *Call {
	c.N, c.Client, c.Wait = len(b.p.Calls), s.Client, []string{}
	if first {
		c.Gap = s.Gap.Seconds()
		for _, r := range s.Refs() {
			if b.bound[r] {
				c.Wait = append(c.Wait, string(r))
			}
		}
		if s.Group > 0 {
			c.Group = s.Group
			for _, x := range b.plan.Steps {
				if x.Group == s.Group {
					c.Size++
				}
			}
		}
	}
	b.p.Calls = append(b.p.Calls, c)
	return &b.p.Calls[len(b.p.Calls)-1]
}

func encode(body any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(body) // maps of strings and numbers
	return strings.TrimSpace(b.String())
}

const execPath = "/boxes/@BOX@/executions/@EXEC@"

// step adds the calls of step number i.
func (b *builder) step(i int, s model.Step) error {
	if s.Args.Has("giveup") {
		return cannot("step %d gives up waiting for an answer, which only chaos can judge", i+1)
	}
	on := string(s.On)
	box := Call{Op: s.Action, Box: on}
	if s.On.IsExec() {
		box.Exec, box.Box = on, string(b.boxOf[s.On])
	}
	simple := func(method, path string, body any) *Call {
		box.Method, box.Path = method, path
		if body != nil {
			box.Body = encode(body)
		}
		return b.add(s, box, true)
	}
	switch s.Action {
	case "create":
		b.create(s)
	case "get":
		simple(http.MethodGet, "/boxes/@BOX@", nil)
	case "list":
		simple(http.MethodGet, "/boxes", nil)
	case "metrics":
		path := "/metrics"
		if on != "" {
			path = "/boxes/@BOX@/metrics"
		}
		simple(http.MethodGet, path, nil)
	case "start":
		simple(http.MethodPost, "/boxes/@BOX@/start", nil)
	case "stop":
		if c := simple(http.MethodPost, "/boxes/@BOX@/stop", nil); s.Args.Get("wait") != "no" {
			c.Watch = "stopped"
		}
	case "restart":
		box.Op = "stop"
		simple(http.MethodPost, "/boxes/@BOX@/stop", nil).Watch = "stopped"
		b.add(s, Call{Op: "start", Box: on, Method: http.MethodPost, Path: "/boxes/@BOX@/start"}, false)
	case "remove":
		simple(http.MethodDelete, "/boxes/@BOX@?force=true", nil)
	case "info":
		simple(http.MethodGet, execPath, nil)
	case "kill":
		simple(http.MethodDelete, execPath, nil)
	case "signal":
		sig := 15
		if s.Args.Has("sig") {
			sig = s.Args.Int("sig")
		}
		simple(http.MethodPost, execPath+"/signal", map[string]int{"signal": sig})
	case "resize":
		rows, cols := 40, 120
		if s.Args.Has("rows") {
			rows = s.Args.Int("rows")
		}
		if s.Args.Has("cols") {
			cols = s.Args.Int("cols")
		}
		c := simple(http.MethodPost, execPath+"/resize", map[string]int{"rows": rows, "cols": cols})
		c.Rows, c.Cols = rows, cols
	case "exec":
		return b.exec(s)
	case "attach":
		ses, err := b.session(s.On, s.Args)
		if err != nil {
			return err
		}
		box.Session = ses
		b.add(s, box, true)
	case "probe":
		return b.probe(i, s, simple)
	default:
		return cannot("step %d (%s) is nothing that a client of the API can do by itself; replay it with chaos replay", i+1, s.Action)
	}
	return nil
}

func (b *builder) create(s model.Step) {
	name := "@RUN@-" + string(s.Bind)
	if label := s.Args.Get("name"); label != "" {
		name = "@RUN@-" + label
	}
	body := map[string]any{"image": "alpine:latest", "name": name}
	if n := s.Args.Int("cpus"); n > 0 {
		body["cpus"] = n
	}
	if n := s.Args.Int("memory"); n > 0 {
		body["memory_mib"] = n
	}
	if bad := s.Args.Get("bad"); bad != "" {
		actions.BadCreate(bad, body)
	}
	b.p.Boxes = append(b.p.Boxes, string(s.Bind))
	b.add(s, Call{Op: "create", Bind: string(s.Bind), Name: name, Method: http.MethodPost, Path: "/boxes", Body: encode(body)}, true)
}

func (b *builder) probe(i int, s model.Step, simple func(string, string, any) *Call) error {
	method, path, body, ok := actions.Intrusion(s, "BOX", "EXEC")
	who := s.Args.Get("token")
	if !ok || who == "stranger" {
		return cannot("step %d (%s): this probe is not written as a program yet; replay it with chaos replay", i+1, plantext.Line(s))
	}
	if who == "" {
		who = "wrong"
	}
	b.p.Other = b.p.Other || who == "other"
	c := simple(method, strings.Replace(path, stack.BoxPath("BOX"), "/boxes/@BOX@", 1), body)
	c.Auth = who
	return nil
}

func (b *builder) exec(s model.Step) error {
	pay := actions.PayloadOf(token, s)
	b.pay[s.Bind], b.boxOf[s.Bind] = pay, s.On
	b.add(s, Call{Op: "exec", Box: string(s.On), Bind: string(s.Bind), Method: http.MethodPost, Path: "/boxes/@BOX@/exec", Body: encode(actions.ExecBody(&pay))}, true)
	if s.Args.Get("attach") == "no" {
		return nil
	}
	ses, err := b.session(s.Bind, s.Args)
	if err != nil {
		return err
	}
	b.add(s, Call{Op: "attach", Box: string(s.On), Exec: string(s.Bind), Session: ses}, false)
	return nil
}
