package campaign

import (
	"time"

	"chaos/model"
)

// Signs counts the plans that showed what a run must show before its silence means anything.
type Signs struct {
	Clients  int `json:"clients"`  // two clients or more sent something
	Boxes    int `json:"boxes"`    // a create was answered with a box
	Together int `json:"together"` // calls of two clients were in flight at once
	Shared   int `json:"shared"`   // of those: with a box, so that clients could meet on it
	Met      int `json:"met"`      // of those: calls of two clients were in flight on one box at once
	Execs    int `json:"execs"`    // with a box: an exec was started
	Output   int `json:"output"`   // of those: an attach session carried an exec to its exit
	Journals int `json:"journals"` // with a box: the runner's journal was read
	Logged   int `json:"logged"`   // of those: the runner had logged anything at all, whenever
	Traced   int `json:"traced"`   // of those: it tells of every box and exec that was answered
	Full     int `json:"full"`     // judged, with a box and calls in flight at once, and traced where a journal is read
	// Those are what clients see; they see it too where calls queue up before the API. So, of calls:
	Accompanied int `json:"accompanied_calls"` // another client's call was in flight at the same time
	Overtaken   int `json:"overtaken_calls"`   // of those: another client did two whole calls meanwhile
}

func (s *Signs) add(t Signs) {
	s.Clients += t.Clients
	s.Together += t.Together
	s.Boxes += t.Boxes
	s.Shared += t.Shared
	s.Met += t.Met
	s.Execs += t.Execs
	s.Output += t.Output
	s.Journals += t.Journals
	s.Logged += t.Logged
	s.Traced += t.Traced
	s.Full += t.Full
	s.Accompanied += t.Accompanied
	s.Overtaken += t.Overtaken
}

// look reads the signs off one history.
func look(h *model.History, v model.Verdict, met bool) Signs {
	var s Signs
	var boxes, execs, exits, clients = 0, 0, 0, map[string]bool{}
	for i := range h.Calls {
		c := &h.Calls[i]
		if c.Step >= 0 {
			clients[c.Client] = true
		}
		switch {
		case c.Outcome != model.OK:
		case c.Op == model.OpCreate && c.BoxID != "":
			boxes++
		case c.Op == model.OpExec:
			execs++
		case c.Op == model.OpAttach && c.Attach != nil:
			if _, ok := c.Attach.Exit(); ok {
				exits++
			}
		}
	}
	several, box := len(clients) > 1, boxes > 0
	read := box && h.Journal.Kind != "" && h.Journal.Problem == ""
	logged := read && h.Journal.Lines > 0
	traced := logged && tracedAll(h)
	s.Accompanied, s.Overtaken = overtaken(h)
	together := s.Accompanied > 0 || met
	s.Clients, s.Boxes, s.Together = one(several), one(box), one(together)
	s.Shared, s.Met = one(together && box), one(box && met)
	s.Execs, s.Output = one(box && execs > 0), one(box && execs > 0 && exits > 0)
	s.Journals, s.Logged, s.Traced = one(read), one(logged), one(traced)
	s.Full = one(v.Status != model.Inconclusive && s.Shared == 1 && traced == read)
	return s
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// sentTogether is how close calls may be sent for either to come first.
const sentTogether = 250 * time.Microsecond

// overtaken counts the calls that were in flight while another client's call was, and those during
// which another client did two calls, one after the other. Where calls queue up in order, the second
// cannot overtake one that was there when it was sent.
func overtaken(h *model.History) (accompanied, twice int) {
	calls := make([]*model.Call, 0, len(h.Calls))
	for i := range h.Calls {
		// A session is no single call, and what was given up says nothing of when it was served.
		if c := &h.Calls[i]; c.Step >= 0 && c.Op != model.OpAttach && c.Outcome != model.Unknown {
			calls = append(calls, c)
		}
	}
	for _, c := range calls {
		met, whole := false, map[string]int{}
		for _, d := range calls {
			if d.Client == c.Client {
				continue
			}
			met = met || d.Invoke < c.Return && c.Invoke < d.Return
			if d.Invoke-c.Invoke > int64(sentTogether) && c.Return-d.Return > int64(sentTogether) {
				whole[d.Client]++
			}
		}
		accompanied += one(met)
		for _, n := range whole {
			if n >= 2 {
				twice++
				break
			}
		}
	}
	return accompanied, twice
}

// tracedAll reports whether the journal tells of every box that a create was answered with, and of
// every exec where the runner logs those.
func tracedAll(h *model.History) bool {
	seen := map[string]bool{}
	for _, e := range h.Journal.Entries {
		if s, _, ok := model.Sight(e.Message); ok && (s.What == model.SawCreate || s.What == model.SawExec) {
			seen[s.What+s.BoxID+s.ExecID], seen[s.What+s.ExecID] = true, true
		}
	}
	for i := range h.Calls {
		c := &h.Calls[i]
		if c.Outcome != model.OK {
			continue
		}
		if c.Op == model.OpCreate && c.BoxID != "" && !seen[model.SawCreate+c.BoxID] ||
			c.Op == model.OpExec && c.ExecID != "" && h.Meta.ExecLogged && !seen[model.SawExec+c.ExecID] {
			return false
		}
	}
	return true
}
