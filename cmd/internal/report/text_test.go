package report

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/cmd/internal/campaign"
	"chaos/model"
)

func TestNumbers(t *testing.T) {
	for n, want := range map[int]string{0: "0", 7: "7", 999: "999", 1000: "1,000", 123456: "123,456", 1234567: "1,234,567"} {
		require.Equal(t, want, Thousands(n))
	}
	for n, want := range map[int64]string{0: "0 B", 10239: "10239 B", 10240: "10 KiB", 10<<20 - 1: "10239 KiB", 10 << 20: "10 MiB"} {
		require.Equal(t, want, Bytes(n))
	}
	for d, want := range map[time.Duration]string{0: "0:00", 1499 * time.Millisecond: "0:01", 59500 * time.Millisecond: "1:00", 61 * time.Minute: "61:00"} {
		require.Equal(t, want, Clock(d))
	}
	require.Equal(t, "55 %", Percent(0.546))
	require.Equal(t, "1 plan", Count(1, "plan"))
	require.Equal(t, "0 plans", Count(0, "plan"))
	require.Equal(t, "1,200 histories", Count(1200, "history", "histories"))
	require.Equal(t, "a b c", OneLine(" a\n\tb  c\r\n"))
	require.Len(t, []rune(OneLine(strings.Repeat("ä", 10000))), 601)
}

const ms = int64(time.Millisecond)

func TestCallLine(t *testing.T) {
	exit := 3
	for want, c := range map[string]model.Call{
		"     12.5 ms  a: stop b1 → 204 after 2.0 ms": {Client: "a", Op: model.OpStop, Box: "b1", Status: 204, Invoke: 12*ms + ms/2, Return: 14*ms + ms/2, Outcome: model.OK},
		"      0.0 ms  -: get b1 → 200 after 0.0 ms status=running": {Op: model.OpGet, Box: "b1", Status: 200, Outcome: model.OK,
			Boxes: []model.BoxView{{ID: "ID1", Status: "running"}}},
		"      0.0 ms  a: list → 200 after 0.0 ms": {Client: "a", Op: model.OpList, Status: 200, Outcome: model.OK, Boxes: []model.BoxView{{ID: "ID1", Status: "running"}}},
		"      0.0 ms  a: info e1 → 200 after 0.0 ms completed exit=3": {Client: "a", Op: model.OpInfo, Box: "b1", Exec: "e1", Status: 200, Outcome: model.OK,
			View: &model.ExecView{Status: "completed", Exit: &exit}},
		"      0.0 ms  a: info e1 → 200 after 0.0 ms running": {Client: "a", Op: model.OpInfo, Exec: "e1", Status: 200, Outcome: model.OK, View: &model.ExecView{Status: "running"}},
		"      0.0 ms  a: attach e1 → 101 after 0.0 ms stdout=2 B stderr=0 B no exit frame": {Client: "a", Op: model.OpAttach, Exec: "e1", Status: 101, Outcome: model.OK,
			Attach: &model.Attach{Frames: []model.Frame{{Kind: model.FrameOut, Data: []byte("hi")}}}},
		"      0.0 ms  a: attach e1 → 101 after 0.0 ms stdout=0 B stderr=1 B exit=7": {Client: "a", Op: model.OpAttach, Exec: "e1", Status: 101, Outcome: model.OK,
			Attach: &model.Attach{Frames: []model.Frame{{Kind: model.FrameErr, Data: []byte("x")}, {Kind: model.FrameExit, Exit: 7}}}},
		"      0.0 ms  a: exec e1 → 500 after 0.0 ms it broke in two": {Client: "a", Op: model.OpExec, Box: "b1", Exec: "e1", Status: 500, Outcome: model.Rejected,
			Body: "{\"error\":\"it broke\\n in two\"}"},
		"      0.0 ms  a: stop b1 → no answer: connection reset after 0.0 ms": {Client: "a", Op: model.OpStop, Box: "b1", Outcome: model.Unknown, Error: "connection reset"},
	} {
		require.Equal(t, want, CallLine(&c))
	}
}

// story is a history in which exec e1 on b1 fails while b2 is busy with something else.
func story() (*model.History, model.Violation) {
	h := &model.History{Calls: []model.Call{
		{ID: 0, Client: "a", Op: model.OpCreate, Box: "b1", BoxID: "ID1", Status: 201, Invoke: 1 * ms, Return: 2 * ms},
		{ID: 1, Client: "b", Op: model.OpCreate, Box: "b2", BoxID: "ID2", Status: 201, Invoke: 1 * ms, Return: 2 * ms},
		{ID: 2, Client: "a", Op: model.OpGet, Box: "b1", BoxID: "ID1", Status: 200, Invoke: 3 * ms, Return: 4 * ms},
		{ID: 3, Client: "b", Op: model.OpStop, Box: "b1", BoxID: "ID1", Status: 200, Invoke: 5 * ms, Return: 7 * ms},
		{ID: 4, Client: "a", Op: model.OpExec, Box: "b1", BoxID: "ID1", Exec: "e1", Status: 500, Invoke: 6 * ms, Return: 8 * ms},
	}}
	h.Journal.Entries = []model.JournalEntry{
		{At: 65 * ms / 10, Message: "Executing job job_id=J1 job_type=STOP_BOX resource_type=box resource_id=ID1"},
		{At: 65 * ms / 10, Message: "Executing job job_id=J2 job_type=STOP_BOX resource_type=box resource_id=ID2"},
		{At: 65 * ms / 10, Message: "something else"},
	}
	return h, model.Violation{Promise: "p", Source: "s", Message: "exec e1 broke\n", Calls: []int{4}}
}

func TestExcerpt_TellsWhatBelongsToTheViolation(t *testing.T) {
	h, v := story()
	require.Equal(t, []string{
		"      1.0 ms  a: create b1 → 201 after 1.0 ms",
		"      5.0 ms  b: stop b1 → 200 after 2.0 ms",
		"      6.0 ms  a: exec e1 → 500 after 2.0 ms",
		"      6.5 ms  journal   Executing job job_id=J1 job_type=STOP_BOX resource_type=box resource_id=ID1",
		"exec e1 broke",
	}, Excerpt(h, v))
}

func TestExcerpt_IsBounded(t *testing.T) {
	h, v := story()
	for range 100 {
		h.Calls = append(h.Calls, h.Calls[3])
	}
	lines := Excerpt(h, v)
	require.Len(t, lines, 42)
	require.Equal(t, "… 64 more", lines[40])
	require.Equal(t, "exec e1 broke", lines[41])
}

func TestCounts_TellsWhatCouldNotBeJudged(t *testing.T) {
	c := campaign.Counts{Plans: 1200, Steps: 30000, BoxCalls: 4, Overlapping: 1, Inconclusive: 300, Unknown: 2, Covered: campaign.Covered{Outcomes: 140, Pairs: 1, Lines: 11, LastNew: 1100}, Unjudged: map[string]int{}}
	for i := range 5 {
		c.Unjudged[fmt.Sprintf("why %d", i)] = i + 1
	}
	var b strings.Builder
	Counts(&b, c)
	for _, want := range []string{"did      1,200 plans · 30,000 steps · 0 calls", "overlap  25 % of the calls on a box ran while another client's call on it did; about 40 % is usual\n", "covered  140 combinations of state, action and answer · 1 pair of actions overlapping on a box · 11 kinds of lines in the log; last something new in plan 1,100\n", "unknown  2 calls", "unjudged 300 plans (25 %):", "why 4 (5)", "why 2 (3)", "… 2 reasons more"} {
		require.Contains(t, b.String(), want)
	}
	require.NotContains(t, b.String(), "why 1", "the most frequent ones are told")
	b.Reset()
	Counts(&b, campaign.Counts{Plans: 1, Execs: 1, BoxCalls: 1000})
	require.Contains(t, b.String(), "did      1 plan · 0 steps · 0 calls · 1 exec ")
	require.Contains(t, b.String(), "overlap  0 % of the calls on a box ran while another client's call on it did; about 40 % is usual\n")
	require.NotContains(t, b.String(), "unjudged")
	require.NotContains(t, b.String(), "unknown")
	for want, unawaited := range map[string]int{
		"  unknown  7 calls got no answer\n":                                                               0,
		"  unknown  1 call got no answer; for 6 more the plans did not wait (giveup=)\n":                   6,
		"  unknown  7 calls whose answer the plans did not wait for (giveup=); all others were answered\n": 7,
	} {
		b.Reset()
		Counts(&b, campaign.Counts{Plans: 1, Unknown: 7, Unawaited: unawaited})
		require.Contains(t, b.String(), want)
	}
}

func TestProof(t *testing.T) {
	found := campaign.Trial{Bug: "stdout-race", Seed: 3, Found: true, Signature: "output-complete · attach · running · truncated", After: 1500 * time.Millisecond, Plans: 12,
		Before: 40, Steps: 3, Executions: 120, Failures: 10, Runs: 20, Buggy: "FAILED", Clean: "FIXED"}
	missed := campaign.Trial{Bug: "stdout-race", Seed: 4, Plans: 900}
	require.Contains(t, TrialLine(found), "seed 3   found after 1.5 s (plan 12), 40 steps to 3 in 120 runs, fails 10 of 20, replay FAILED / clean FIXED · output-complete")
	require.Contains(t, TrialLine(missed), "not found in 900 plans")
	missed.Error = "no stack"
	require.Contains(t, TrialLine(missed), "error: no stack")

	rows := []campaign.Row{campaign.SumUp("stdout-race", "#563", []campaign.Trial{found}), campaign.SumUp("never", "#1", []campaign.Trial{{Bug: "never"}})}
	var md, text strings.Builder
	rows[0].Known, rows[0].Program = 2, "abc1234"
	ProofMarkdown(&md, rows, []string{"| a-bug | old | kept |", "| never | old | replaced |"})
	require.Contains(t, md.String(), "| stdout-race | #563 | output-complete | 1 of 1 | 1.5 s (1.5 s) | 40 → 3 (3; 2) | 120 | 50 % (27–73 %) | 1 of 1 | 1 of 1 | abc1234 | 2 would be enough |\n")
	require.Contains(t, md.String(), "| never | #1 | – | 0 of 1 | – | – | – | – | – | – |  | found too rarely |\n")
	require.Contains(t, md.String(), "|\n| a-bug | old | kept |\n| never | #1")
	columns := strings.Count(md.String()[:strings.Index(md.String(), "\n")], "|")
	for line := range strings.Lines(strings.Replace(md.String(), "| a-bug | old | kept |\n", "", 1)) {
		require.Equal(t, columns, strings.Count(line, "|"), line)
	}
	ProofText(&text, rows)
	require.Equal(t, 3, strings.Count(text.String(), "\n"))
}
