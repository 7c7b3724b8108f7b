package engine

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/model"
	"chaos/stack"
)

func TestLedger_AnIdNobodyAskedForIsToldOnce(t *testing.T) {
	l := newLedger()
	l.Begin()("MINE", true)
	l.Begin()("", true) // refused
	require.Equal(t, []string{"OTHER"}, l.unaccounted(t.Context(), []string{"MINE", "OTHER"}))
	require.Empty(t, l.unaccounted(t.Context(), []string{"MINE", "OTHER"}), "once in the life of the ledger")
	require.True(t, l.owns("MINE"))
	require.False(t, l.owns("OTHER"))
}

func TestLedger_ACreateWithoutAnAnswerAccountsForOneId(t *testing.T) {
	l := newLedger()
	l.Begin()("", false)
	require.Equal(t, []string{"SECOND"}, l.unaccounted(t.Context(), []string{"FIRST", "SECOND"}))
	require.True(t, l.owns("FIRST"))

	l = newLedger()
	l.Begin()("", false)
	l.adopt("STRAY") // found under a name of ours
	l.adopt("STRAY")
	require.Equal(t, []string{"OTHER"}, l.unaccounted(t.Context(), []string{"STRAY", "OTHER"}))

	l = newLedger()
	l.adopt("STRAY")
	require.Equal(t, []string{"STRAY"}, l.unaccounted(t.Context(), []string{"STRAY"}), "every create was answered, and none with this id")
}

// TestLedger_WaitsForTheCreatesInFlight: an id in the journal may be the answer that has not come yet.
func TestLedger_WaitsForTheCreatesInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger()
		first, second := l.Begin(), l.Begin()
		var got []string
		done := false
		go func() {
			got = l.unaccounted(t.Context(), []string{"FIRST", "OTHER"})
			done = true
		}()
		synctest.Wait()
		require.False(t, done)
		second("", true)
		synctest.Wait()
		require.False(t, done, "one is still in flight")
		later := l.Begin() // cannot have made what was logged before
		first("FIRST", true)
		synctest.Wait()
		require.True(t, done)
		require.Equal(t, []string{"OTHER"}, got)
		later("", true)
	})
}

func TestLedger_SaysNothingWhenItCannotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger()
		done := l.Begin()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.Empty(t, l.unaccounted(ctx, []string{"OTHER"}))
		done("", true)
		require.Equal(t, []string{"OTHER"}, l.unaccounted(t.Context(), []string{"OTHER"}), "it is told when that can be done")
	})
}

// pages is a journal that gives out what is in it page by page.
type pages struct {
	all  [][]stack.LogEntry
	seen []string // cursors it was asked with
	err  error
}

func (p *pages) Describe() string { return "pages" }

func (p *pages) Since(_ context.Context, cursor string) ([]stack.LogEntry, string, error) {
	p.seen = append(p.seen, cursor)
	if p.err != nil || len(p.all) == 0 {
		return nil, cursor, p.err
	}
	page := p.all[0]
	p.all = p.all[1:]
	return page, cursor + "+", nil
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func at(seconds int, message string) stack.LogEntry {
	return stack.LogEntry{Time: noon.Add(time.Duration(seconds) * time.Second), Unit: "boxlite-runner", Message: message}
}

func messages(j model.Journal) []string {
	var out []string
	for _, e := range j.Entries {
		out = append(out, e.Message)
	}
	return out
}

const (
	madeA = "created box id=coreA name=A image=alpine:latest"
	madeB = "created box id=coreB name=B image=alpine:latest"
	doneA = "Job completed successfully job_id=1 job_type=DESTROY_BOX resource_type=box resource_id=A"
)

func TestCollector_GivesEachRunItsOwnEntriesInOrder(t *testing.T) {
	src := &pages{all: [][]stack.LogEntry{{at(2, madeA), at(1, madeB), at(1, "listening on 8080")}, {at(9, doneA)}}}
	c := newCollector(src)
	require.NoError(t, c.collect(t.Context()))
	require.NoError(t, c.collect(t.Context()))
	require.Equal(t, []string{"", "+"}, src.seen, "each page is read once")
	j := c.slice(map[string]bool{"A": true}, noon)
	require.Equal(t, "pages", j.Kind)
	require.Empty(t, j.Problem)
	require.Equal(t, []string{madeA, doneA}, messages(j))
	require.Equal(t, int64(2*time.Second), j.Entries[0].At)
	require.Equal(t, []string{madeB, madeA, doneA}, messages(c.slice(map[string]bool{"A": true, "B": true}, noon)))
	require.Empty(t, c.slice(map[string]bool{"C": true}, noon).Entries)
	c.forget(map[string]bool{"A": true})
	require.Empty(t, c.slice(map[string]bool{"A": true}, noon).Entries)
}

func TestCollector_AFailedReadIsReadAgain(t *testing.T) {
	src := &pages{all: [][]stack.LogEntry{{at(1, madeA)}}, err: errors.New("disk on fire")}
	c := newCollector(src)
	require.ErrorContains(t, c.collect(t.Context()), "disk on fire")
	src.err = nil
	require.NoError(t, c.collect(t.Context()))
	require.Equal(t, []string{"", ""}, src.seen)
	require.Equal(t, []string{madeA}, messages(c.slice(map[string]bool{"A": true}, noon)))
}

func TestCollector_LostLinesAreAProblemOfTheRunsTheyFellInto(t *testing.T) {
	lost := at(5, "")
	lost.Lost = true
	c := newCollector(&pages{all: [][]stack.LogEntry{{at(1, madeA), lost, at(6, madeB)}}})
	require.NoError(t, c.collect(t.Context()))
	require.Equal(t, "the journal dropped lines", c.slice(map[string]bool{"A": true}, noon).Problem)
	require.Equal(t, "the journal dropped lines", c.slice(map[string]bool{"A": true}, noon.Add(5*time.Second)).Problem)
	require.Empty(t, c.slice(map[string]bool{"B": true}, noon.Add(6*time.Second)).Problem, "it began later")
}

func TestCollector_UnclaimedAreBoxesMadeInTheRunsTime(t *testing.T) {
	c := newCollector(&pages{all: [][]stack.LogEntry{{at(1, "created box id=x name=OLD image=i"), at(3, madeB), at(3, madeA), at(4, "created box id=x name=MINE image=i"),
		at(5, "Executing job job_id=7 job_type=START_BOX resource_type=box resource_id=ELSEWHERE")}}})
	require.NoError(t, c.collect(t.Context()))
	require.Equal(t, []string{"A", "B"}, c.unclaimed(noon.Add(2*time.Second), func(id string) bool { return id == "MINE" }))
}

func TestStallMeter_TellsTheLongestStallSince(t *testing.T) {
	m := &stallMeter{stalls: []stall{{noon, time.Second}, {noon.Add(time.Minute), 3 * time.Second}, {noon.Add(2 * time.Minute), 2 * time.Second}}}
	require.Equal(t, 3*time.Second, m.since(noon.Add(-time.Hour)))
	require.Equal(t, 2*time.Second, m.since(noon.Add(time.Minute)))
	require.Zero(t, m.since(noon.Add(time.Hour)))
}

func TestStallMeter_ATickInTimeIsNoStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newStallMeter()
		began := time.Now()
		<-time.After(time.Hour) // in the time of the bubble
		require.Zero(t, m.since(began))
		m.stop()
	})
}
