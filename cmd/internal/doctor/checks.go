package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"chaos/stack"
)

// The grades of a check.
const (
	Good  = "ok"
	Warn  = "warn" // a run is possible, and sees less or may be wrong
	Bad   = "bad"  // a run makes no sense
	Blank = "-"    // not looked at
)

// Check is one thing that a run needs.
type Check struct {
	Name  string `json:"name"`
	Grade string `json:"grade"`
	Seen  string `json:"seen"`
	Do    string `json:"do,omitempty"` // what to do about it, "" = nothing
}

// maxSkew is how far clocks may be apart before times of the log and of answers tell a wrong order.
const maxSkew = 2 * time.Second

// Preflight looks at what the stack behind c says of itself and of the key, without making anything.
func Preflight(ctx context.Context, c *stack.Client, now func() time.Time) []Check {
	plain := c.As(c.Endpoint().Key, "") // /v1/me has no prefix
	began := now()
	res, err := plain.Do(ctx, stack.Request{Method: http.MethodGet, Path: "/me"})
	took := now().Sub(began)
	if err != nil {
		return []Check{{"url", Bad, err.Error(), "start the API, or give another --stack"}}
	}
	checks := []Check{{Name: "url", Grade: Good, Seen: fmt.Sprintf("%s answers in %s", c.Endpoint().URL, took.Round(time.Millisecond))}}
	checks = append(checks, key(res), prefix(c.Endpoint()), clock(res.Header, began, took), version(res.Header))
	return append(checks, room(ctx, c))
}

// key reads what the key may do.
func key(res stack.Response) Check {
	var me struct {
		Type   string   `json:"principal_type"`
		Scopes []string `json:"scopes"`
	}
	_ = json.Unmarshal(res.Body, &me) // servers differ in what they say
	switch {
	case res.Status != http.StatusOK:
		return Check{"key", Bad, fmt.Sprintf("GET /v1/me answers %d", res.Status), "give a key that is accepted: --key, BOXLITE_API_KEY or --stack-profile"}
	case len(me.Scopes) > 0 && !slices.Contains(me.Scopes, "box:exec") && !slices.Contains(me.Scopes, "*"):
		return Check{"key", Bad, "accepted, but it lacks the scope box:exec", "make a key that has box:exec"}
	case me.Type != "":
		return Check{Name: "key", Grade: Good, Seen: "accepted, as " + me.Type}
	}
	return Check{Name: "key", Grade: Good, Seen: "accepted"}
}

func prefix(ep stack.Endpoint) Check {
	if ep.Prefix == "" {
		return Check{Name: "prefix", Grade: Good, Seen: "none, paths begin with /v1/boxes"}
	}
	return Check{Name: "prefix", Grade: Good, Seen: "/v1/" + ep.Prefix}
}

// clock compares the Date of an answer, which tells whole seconds, with our time.
func clock(h http.Header, began time.Time, took time.Duration) Check {
	at, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return Check{"clock", Blank, "no Date in the answers", ""}
	}
	skew := time.Duration(0)
	if early := began.Truncate(time.Second).Sub(at); early > 0 {
		skew = early
	} else if late := at.Sub(began.Add(took)); late > 0 {
		skew = late
	}
	if skew > maxSkew {
		return Check{"clock", Warn, fmt.Sprintf("the stack's differs by %s", skew.Round(time.Second)), "set both clocks (timedatectl set-ntp true): times in the runner's log would mislead"}
	}
	return Check{Name: "clock", Grade: Good, Seen: "within " + maxSkew.String()}
}

// version tells what the server says it is.
func version(h http.Header) Check {
	var said []string
	for _, name := range []string{"X-BoxLite-Api-Version", "Server"} {
		if v := h.Get(name); v != "" {
			said = append(said, name+": "+v)
		}
	}
	if len(said) == 0 {
		return Check{"version", Blank, "not told", "note the build that is tested yourself"}
	}
	return Check{Name: "version", Grade: Good, Seen: strings.Join(said, ", ")}
}

// room counts the boxes that are there.
func room(ctx context.Context, c *stack.Client) Check {
	res, err := c.Do(ctx, stack.Request{Method: http.MethodGet, Path: "/boxes"})
	var l struct {
		Boxes *[]json.RawMessage `json:"boxes"`
	}
	if err != nil || res.Status != http.StatusOK || json.Unmarshal(res.Body, &l) != nil || l.Boxes == nil {
		return Check{"boxes", Bad, fmt.Sprintf("GET …/boxes answers %d and no list (%v)", res.Status, errors.Join(err)), "look at the API's log"}
	}
	return Check{Name: "boxes", Grade: Good, Seen: fmt.Sprintf("%d there now; they are left alone", len(*l.Boxes))}
}

// Create says whether boxes can be made, by how an examination went.
func Create(d *Diagnosis, err error) Check {
	var unable *Unable
	if err != nil && !errors.As(err, &unable) {
		return Check{"create", Bad, err.Error(), "look at the logs of API and runner"}
	}
	status := 0
	for _, a := range d.Answers {
		if a.op == "create" && status == 0 {
			status = a.Status
		}
	}
	switch {
	case unable == nil:
		return Check{Name: "create", Grade: Good, Seen: "the image is there and a box was made"}
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
		return Check{"create", Bad, unable.Error(), "there is no room: remove boxes, or raise the organization's quota"}
	case status == http.StatusForbidden:
		return Check{"create", Bad, unable.Error(), "the organization may not make boxes; give another key"}
	}
	return Check{"create", Bad, unable.Error(), "name an image that the stack has with --image, and see that a runner is registered"}
}
