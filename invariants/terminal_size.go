package invariants

import (
	"fmt"
	"strings"

	"chaos/model"
)

type terminalSize struct{}

var _ = register(terminalSize{})

func (terminalSize) Name() string { return "terminal-size" }

func (terminalSize) Promise() string {
	return "An accepted resize reaches the command's terminal with rows and columns as asked, and the last one stays."
}

func (terminalSize) Source() string { return "BoxLite OpenAPI POST …/resize; test_resize_tty" }

// initialSizes are what a terminal has that nobody sized: "rows columns" as stty prints them.
var initialSizes = []string{"24 80", "0 0"}

func (terminalSize) Check(f *Facts) []Finding {
	var out []Finding
	for _, x := range f.execs {
		if x.Start.Payload.Watch == 0 {
			continue
		}
		for _, s := range x.Attaches {
			if s.Attach == nil {
				continue
			}
			if bad, allowed, how := f.wrongSize(x, s); bad != "" {
				out = append(out, Finding{Call: s, State: f.stateName(x.Start), Action: model.OpResize, Detail: how, Also: append([]*model.Call{x.Start}, x.Resizes...),
					Message: fmt.Sprintf("the terminal of %s had the size %s; %s", label(x.Start), bad, how), Allowed: strings.Join(allowed, " or "), Got: bad})
				break
			}
		}
	}
	return out
}

// wrongSize returns a size that the command saw and could not have seen if resizes were kept.
func (f *Facts) wrongSize(x *Exec, s *model.Call) (bad string, allowed []string, how string) {
	p := x.Start.Payload
	_, lines := withoutSizes(s.Attach.Bytes(model.Out), p)
	any := append([]string{}, initialSizes...)
	for _, r := range x.Resizes {
		any = append(any, size(r))
	}
	for _, l := range lines {
		if got, ok := strings.CutPrefix(l, p.SizePrefix()); ok && !has(any, got) {
			if swapped(x, got) {
				return got, any, "rows and columns exchanged"
			}
			return got, any, "a size nobody asked for"
		}
	}
	last := f.possibleLast(x)
	for _, l := range lines {
		if got, ok := strings.CutPrefix(l, p.LastPrefix()); ok && !has(last, got) && has(any, got) {
			return got, last, "not the last size asked for"
		}
	}
	return "", nil, ""
}

// possibleLast returns the sizes the command may see last. It looks for the last time no earlier
// than its watch after it was asked for, so a resize that was answered before then came in time,
// unless a later one took its place.
func (f *Facts) possibleLast(x *Exec) []string {
	sure := x.Start.Invoke + int64(x.Start.Payload.Watch)
	out := append([]string{}, initialSizes...)
	for _, r := range x.Resizes {
		if r.Outcome == model.OK && r.Return < sure {
			out = nil
		}
	}
	for _, r := range x.Resizes {
		replaced := false
		for _, q := range x.Resizes {
			replaced = replaced || r.Return < q.Invoke && q.Outcome == model.OK && q.Return < sure
		}
		if !replaced {
			out = append(out, size(r))
		}
	}
	return out
}

func size(r *model.Call) string { return fmt.Sprintf("%d %d", r.Rows, r.Cols) }

func swapped(x *Exec, got string) bool {
	for _, r := range x.Resizes {
		if got == fmt.Sprintf("%d %d", r.Cols, r.Rows) {
			return true
		}
	}
	return false
}

func has(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
