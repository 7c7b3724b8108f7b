package campaign

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/model"
)

// healthy is what n ordinary plans come to.
func healthy(n int) Counts {
	return Counts{Plans: n, Signs: Signs{Clients: n, Boxes: n, Together: n, Shared: n, Met: n, Execs: n, Output: n, Journals: n, Logged: n, Traced: n, Full: n, Accompanied: 25 * n, Overtaken: n}}
}

func TestPower(t *testing.T) {
	for name, c := range map[string]struct {
		plans  int
		change func(*Counts)
		want   []Lack
	}{
		"a healthy run":                        {20, func(*Counts) {}, nil},
		"one healthy plan":                     {1, func(*Counts) {}, nil},
		"nothing":                              {0, func(*Counts) {}, []Lack{NoPlans}},
		"half could be judged":                 {20, func(c *Counts) { c.Inconclusive = 10 }, nil},
		"less than half could":                 {20, func(c *Counts) { c.Inconclusive = 11 }, []Lack{NoVerdicts}},
		"one client":                           {1, func(c *Counts) { c.Signs.Clients, c.Signs.Together, c.Signs.Shared, c.Signs.Met = 0, 0, 0, 0 }, []Lack{OneClient}},
		"no box, so nothing else is asked":     {3, func(c *Counts) { c.Signs = Signs{Clients: 3, Together: 3} }, []Lack{NoBoxes}},
		"a box in some plans":                  {20, func(c *Counts) { c.Signs.Boxes = 6 }, nil},
		"a box in very few":                    {20, func(c *Counts) { c.Signs.Boxes = 4 }, []Lack{NoBoxes}},
		"no calls at once":                     {1, func(c *Counts) { c.Signs.Together, c.Signs.Shared, c.Signs.Met = 0, 0, 0 }, []Lack{NoOverlap}},
		"none on one box in a short run":       {3, func(c *Counts) { c.Signs.Met = 0 }, nil},
		"none on one box in a longer one":      {20, func(c *Counts) { c.Signs.Met = 0 }, []Lack{NoMeeting}},
		"few plans in which they did, of few":  {3, func(c *Counts) { c.Signs.Met = 1 }, nil},
		"few plans in which they did, of many": {100, func(c *Counts) { c.Signs.Met = 10 }, []Lack{NoMeeting}},
		"half of the plans":                    {1000, func(c *Counts) { c.Signs.Met = 500 }, nil},
		"no call overtaken in a short run":     {10, func(c *Counts) { c.Signs.Overtaken = 0 }, nil},
		"none in a longer one":                 {40, func(c *Counts) { c.Signs.Overtaken = 0 }, []Lack{OneByOne}},
		"one in a hundred":                     {4000, func(c *Counts) { c.Signs.Overtaken = 1000 }, nil},
		"one in a thousand":                    {4000, func(c *Counts) { c.Signs.Overtaken = 100 }, []Lack{OneByOne}},
		"no exec":                              {2, func(c *Counts) { c.Signs.Execs, c.Signs.Output = 0, 0 }, []Lack{NoExecs}},
		"no output in a short run":             {3, func(c *Counts) { c.Signs.Output = 0 }, nil},
		"no output in a longer one":            {30, func(c *Counts) { c.Signs.Output = 0 }, []Lack{NoOutput}},
		"an empty journal":                     {3, func(c *Counts) { c.Signs.Logged, c.Signs.Traced = 0, 0 }, []Lack{NoJournal}},
		"the runner did nothing":               {3, func(c *Counts) { c.Signs.Traced = 0 }, []Lack{NotRunner}},
		"the runner did half":                  {20, func(c *Counts) { c.Signs.Traced = 10 }, []Lack{NotRunner}},
		"a journal that is not read":           {3, func(c *Counts) { c.Signs.Journals, c.Signs.Logged, c.Signs.Traced = 0, 0, 0 }, nil},
		"no plan had it all":                   {2, func(c *Counts) { c.Signs.Full = 0 }, []Lack{NoVerdicts}},
		"two faults at once":                   {20, func(c *Counts) { c.Signs.Met, c.Signs.Execs = 0, 0 }, []Lack{NoMeeting, NoExecs}},
		"a million plans do not overflow":      {1_000_000, func(c *Counts) { c.Signs.Met = 100_000 }, []Lack{NoMeeting}},
	} {
		t.Run(name, func(t *testing.T) {
			counts := healthy(c.plans)
			c.change(&counts)
			var got []Lack
			for _, r := range Power(counts) {
				got = append(got, r.Lack)
				require.NotEmpty(t, r.Text)
				require.NotContains(t, r.Text, "\n")
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestPower_AReasonTellsTheNumberTheThresholdAndTheMend(t *testing.T) {
	c := healthy(1)
	c.Signs.Together, c.Signs.Shared, c.Signs.Met = 0, 0, 0
	got := Power(c)
	require.Len(t, got, 1)
	require.Equal(t, Reason{Lack: NoOverlap, Of: 1, Least: 0.25, Text: got[0].Text}, got[0])
	require.Contains(t, got[0].Text, "in 0 of 1 plan, want 25 % (96 % is usual): calls one after the other show no races; ")
	c = healthy(4000)
	c.Signs.Overtaken = 3
	require.Contains(t, Power(c)[0].Text, "in 3 of 100000 calls, want 0.75 % (5 % is usual): ")
}

func TestUnproven_WhereTheJournalIsNotRead(t *testing.T) {
	c := healthy(3)
	require.Empty(t, Unproven(c))
	c.Signs.Journals = 0
	require.Len(t, Unproven(c), 1)
	require.Empty(t, Unproven(Counts{}))
}

func TestRefuted(t *testing.T) {
	for _, c := range []struct {
		seen, n int
		p       float64
		want    bool
	}{
		{0, 6, 0.5, false}, // 1.6 %
		{0, 7, 0.5, true},  // 0.8 %
		{4, 20, 0.5, true}, // 0.6 %
		{5, 20, 0.5, false},
		{10, 20, 0.5, false},
		{20, 20, 0.9, false},
		{0, 611, 0.0075, false},
		{0, 612, 0.0075, true},
	} {
		require.Equal(t, c.want, refuted(c.seen, c.n, c.p), "%+v", c)
	}
}

// plain is a history of two clients that meet on a box, with an exec that is attached and a journal.
func plain() *model.History {
	ms := int64(time.Millisecond)
	at := func(id int, client, op string, from, to int64) model.Call {
		return model.Call{ID: id, Client: client, Op: op, Box: "b1", BoxID: "Box1", Invoke: from * ms, Return: to * ms, Outcome: model.OK}
	}
	h := &model.History{Meta: model.Meta{ExecLogged: true}, Calls: []model.Call{
		at(0, "a", model.OpCreate, 0, 10), at(1, "a", model.OpExec, 11, 20), at(2, "b", model.OpGet, 12, 13), at(3, "b", model.OpGet, 14, 15), at(4, "a", model.OpAttach, 21, 30),
	}}
	h.Calls[1].ExecID = "x1"
	h.Calls[4].Attach = &model.Attach{Frames: []model.Frame{{Kind: model.FrameExit}}}
	h.Journal = model.Journal{Kind: "file", Lines: 7, Entries: []model.JournalEntry{{Message: "created box id=c name=Box1"}, {Message: "exec started box_id=Box1 execution_id=x1"}}}
	return h
}

func TestSigns_OfOneHistory(t *testing.T) {
	all := Signs{Clients: 1, Boxes: 1, Together: 1, Shared: 1, Met: 1, Execs: 1, Output: 1, Journals: 1, Logged: 1, Traced: 1, Full: 1, Accompanied: 3, Overtaken: 1}
	for name, c := range map[string]struct {
		change func(h *model.History, v *model.Verdict)
		want   func(s *Signs)
	}{
		"everything":                    {func(*model.History, *model.Verdict) {}, func(*Signs) {}},
		"not judged":                    {func(_ *model.History, v *model.Verdict) { v.Status = model.Inconclusive }, func(s *Signs) { s.Full = 0 }},
		"another journal":               {func(h *model.History, _ *model.Verdict) { h.Journal.Entries = nil }, func(s *Signs) { s.Traced, s.Full = 0, 0 }},
		"an exec that it does not know": {func(h *model.History, _ *model.Verdict) { h.Journal.Entries = h.Journal.Entries[:1] }, func(s *Signs) { s.Traced, s.Full = 0, 0 }},
		"and need not": {func(h *model.History, _ *model.Verdict) {
			h.Journal.Entries, h.Meta.ExecLogged = h.Journal.Entries[:1], false
		}, func(*Signs) {}},
		"an empty journal":           {func(h *model.History, _ *model.Verdict) { h.Journal.Entries, h.Journal.Lines = nil, 0 }, func(s *Signs) { s.Logged, s.Traced, s.Full = 0, 0, 0 }},
		"a journal that is not read": {func(h *model.History, _ *model.Verdict) { h.Journal = model.Journal{} }, func(s *Signs) { s.Journals, s.Logged, s.Traced = 0, 0, 0 }},
		"no exit frame":              {func(h *model.History, _ *model.Verdict) { h.Calls[4].Attach.Frames = nil }, func(s *Signs) { s.Output = 0 }},
		"the exec refused":           {func(h *model.History, _ *model.Verdict) { h.Calls[1].Outcome = model.Rejected }, func(s *Signs) { s.Execs, s.Output = 0, 0 }},
		"the create refused": {func(h *model.History, _ *model.Verdict) { h.Calls[0].Outcome = model.Rejected }, func(s *Signs) {
			*s = Signs{Clients: 1, Together: 1, Accompanied: 3, Overtaken: 1}
		}},
		"one client": {func(h *model.History, _ *model.Verdict) { h.Calls[2].Client, h.Calls[3].Client = "a", "a" }, func(s *Signs) {
			s.Clients, s.Together, s.Shared, s.Met, s.Full, s.Accompanied, s.Overtaken = 0, 0, 0, 0, 0, 0, 0
		}},
		"the others are the harness": {func(h *model.History, _ *model.Verdict) {
			for _, i := range []int{2, 3} {
				h.Calls[i].Client, h.Calls[i].Step = "", model.Harness
			}
		}, func(s *Signs) {
			s.Clients, s.Together, s.Shared, s.Met, s.Full, s.Accompanied, s.Overtaken = 0, 0, 0, 0, 0, 0, 0
		}},
		"sent together":  {func(h *model.History, _ *model.Verdict) { h.Calls[2].Invoke = h.Calls[1].Invoke + 1000 }, func(s *Signs) { s.Overtaken = 0 }},
		"by two clients": {func(h *model.History, _ *model.Verdict) { h.Calls[3].Client = "c" }, func(s *Signs) { s.Overtaken = 0 }},
		"no answer":      {func(h *model.History, _ *model.Verdict) { h.Calls[3].Outcome = model.Unknown }, func(s *Signs) { s.Accompanied, s.Overtaken = 2, 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			h, v, want := plain(), model.Verdict{Status: model.Pass}, all
			c.change(h, &v)
			c.want(&want)
			var stats Stats
			stats.Add(h, v)
			stats.Add(h, v)
			twice := want
			twice.add(want)
			require.Equal(t, twice, stats.Snapshot().Signs)
		})
	}
}
