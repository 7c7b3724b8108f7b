package model

import (
	"fmt"
	"sort"
	"strings"
)

// Signature says what kind of failure a violation is, with everything that differs from run to run
// taken out: two violations with one signature are the same finding. A case keeps its signature
// while it is shrunk.
type Signature struct {
	Invariant string `json:"invariant"`
	Action    string `json:"action"` // operation whose answer broke the promise
	State     string `json:"state"`  // what the box could have been in, "" where it does not matter
	Detail    string `json:"detail"` // normalised status, code or kind of damage
}

const sigSep = " · "

// String is the form in which signatures stand in cases and reports; ParseSignature reads it back.
func (s Signature) String() string {
	f := func(x string) string {
		if x == "" {
			return "-"
		}
		return x
	}
	return strings.Join([]string{f(s.Invariant), f(s.Action), f(s.State), f(s.Detail)}, sigSep)
}

// ParseSignature reads what String wrote.
func ParseSignature(text string) (Signature, error) {
	parts := strings.Split(text, sigSep)
	if len(parts) != 4 {
		return Signature{}, fmt.Errorf("signature %q has %d parts, want 4 joined by %q", text, len(parts), sigSep)
	}
	for i, p := range parts {
		parts[i] = strings.TrimSpace(p)
		if parts[i] == "-" {
			parts[i] = ""
		}
	}
	if parts[0] == "" {
		return Signature{}, fmt.Errorf("signature %q names no invariant", text)
	}
	return Signature{parts[0], parts[1], parts[2], parts[3]}, nil
}

// Violation is one broken promise.
type Violation struct {
	Signature Signature `json:"signature"`
	Promise   string    `json:"promise"` // the promise in one sentence
	Source    string    `json:"source"`  // where the promise is written
	Message   string    `json:"message"` // what happened, with ids
	Allowed   string    `json:"allowed,omitempty"`
	Got       string    `json:"got,omitempty"`
	Calls     []int     `json:"calls"`             // ids of the calls that show it, most telling first
	States    string    `json:"states,omitempty"`  // what the box could have been in
	Steps     []int     `json:"steps,omitempty"`   // steps of the plan that those calls belong to
	Journal   []string  `json:"journal,omitempty"` // lines of the runner's log about the same boxes and execs
}

// Status is the outcome of judging.
type Status string

// The outcomes of judging. Inconclusive is never shown as a pass.
const (
	Pass         Status = "pass"
	Violated     Status = "violated"
	Inconclusive Status = "inconclusive"
)

// Verdict is what the judge says of one history.
type Verdict struct {
	Status     Status      `json:"status"`
	Violations []Violation `json:"violations,omitempty"`
	Unjudged   []string    `json:"unjudged,omitempty"` // what could not be judged, and why
	Broken     string      `json:"broken,omitempty"`   // an assumption of the judge that does not hold: the harness is at fault, not the stack
}

// Has reports whether v holds a violation with signature s.
func (v Verdict) Has(s Signature) bool {
	for _, x := range v.Violations {
		if x.Signature == s {
			return true
		}
	}
	return false
}

// Signatures returns the distinct signatures in v, sorted.
func (v Verdict) Signatures() []Signature {
	seen := map[Signature]bool{}
	var out []Signature
	for _, x := range v.Violations {
		if !seen[x.Signature] {
			seen[x.Signature] = true
			out = append(out, x.Signature)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].String() < out[j].String() })
	return out
}
