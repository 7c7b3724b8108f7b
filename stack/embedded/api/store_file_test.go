package api

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// openStore is the store of a process that has just been started on dir.
func openStore(t require.TestingT, dir string, lazy bool) *store {
	db, err := openDatabase(dir)
	require.NoError(t, err)
	s := newStore(lazy)
	s.file = db
	require.NoError(t, s.load())
	return s
}

// content is what a store holds, as far as it must outlive the process.
type content struct {
	rows   []keptRow
	names  map[[2]string]string
	gone   []string
	jobs   map[string]keptJob
	totals map[string]totals
	seq    uint64
	runner string
}

func contentOf(s *store) content {
	c := content{names: maps.Clone(s.names), gone: slices.Clone(s.gone), jobs: map[string]keptJob{}, totals: map[string]totals{}, seq: s.seq, runner: s.runner}
	for _, r := range s.rows {
		k := keptRow{
			Seq: r.seq, Org: r.org, Name: r.id + " " + r.name, Spec: r.spec, State: r.state, Desired: r.desired, Pending: r.pending, Version: r.version,
			CoreID: r.coreID, Created: r.created.Round(0), Updated: r.updated.Round(0), Active: r.active.Round(0),
		}
		if r.job != nil {
			k.Job = r.job.id
		}
		c.rows = append(c.rows, k)
	}
	slices.SortFunc(c.rows, func(a, b keptRow) int { return cmp.Compare(a.Seq, b.Seq) })
	for _, j := range s.jobs {
		c.jobs[j.id] = keptJob{j.seq, j.kind, j.boxID, j.spec}
	}
	for org, t := range s.totals {
		c.totals[org] = *t
	}
	return c
}

// storeMachine performs random transactions and now and then kills the process they are in.
type storeMachine struct {
	s    *store
	dir  string
	lazy bool
}

// row draws one of the rows.
func (m *storeMachine) row(t *rapid.T) record {
	all := slices.SortedFunc(maps.Values(m.s.rows), func(a, b *record) int { return cmp.Compare(a.seq, b.seq) })
	if len(all) == 0 {
		t.Skip("no rows")
	}
	return *rapid.SampledFrom(all).Draw(t, "row")
}

func (m *storeMachine) Insert(t *rapid.T) {
	sp := spec{Name: rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "name"), Image: "i", Env: map[string]string{"K": "v"}, AutoStop: 7, AutoResume: true}
	r, err := m.s.insert(rapid.SampledFrom([]string{orgA, orgB}).Draw(t, "org"), sp, admission{uniqueName: true, limit: 5})
	if err == nil && rapid.Bool().Draw(t, "release") {
		m.s.release(r.job)
	}
}

func (m *storeMachine) Begin(t *rapid.T) {
	r := m.row(t)
	if r.pending || r.state == destroyed {
		t.Skip("changing")
	}
	to := rapid.SampledFrom([]struct {
		to, desired state
		kind        string
	}{{starting, started, startBox}, {stopping, stopped, stopBox}, {destroying, destroyed, destroyBox}}).Draw(t, "to")
	_, err := m.s.begin(r, to.to, to.desired, to.kind)
	require.NoError(t, err)
}

func (m *storeMachine) Take(t *rapid.T) {
	url := rapid.SampledFrom([]string{"http://r1", "http://r2"}).Draw(t, "runner")
	jobs, _, _ := m.s.take(url, url, rapid.IntRange(1, 3).Draw(t, "max"))
	if rapid.IntRange(0, 4).Draw(t, "lost") == 0 {
		m.s.untake(jobs)
	}
}

func (m *storeMachine) Complete(t *rapid.T) {
	r := m.row(t)
	if r.job == nil {
		t.Skip("no job")
	}
	failure := rapid.SampledFrom([]string{"", "", "bad luck"}).Draw(t, "failure")
	j, ok := m.s.complete(r.job.id, failure, "core")
	require.True(t, ok)
	<-j.done
	if j.kind == destroyBox && failure != "" && rapid.Bool().Draw(t, "again") {
		m.s.again(j.result)
	}
}

func (m *storeMachine) Other(t *rapid.T) {
	r := m.row(t)
	switch rapid.IntRange(0, 4).Draw(t, "what") {
	case 0:
		m.s.correct(m.s.now(), claim{r.id, rapid.SampledFrom([]string{"running", "stopped"}).Draw(t, "claim")}, trust{})
	case 1:
		m.s.countExec(r.org, rapid.Bool().Draw(t, "started"))
	case 2:
		m.s.active(r.id)
		m.s.flush()
	case 3:
		m.s.forgetTotals(r.org)
	case 4:
		if r.state == creating {
			m.s.markFailed(r)
		}
	}
}

// Kill ends the process between two transactions. The next one has all there was.
func (m *storeMachine) Kill(t *rapid.T) {
	before, epoch := contentOf(m.s), m.s.epoch
	require.NoError(t, m.s.file.bolt.Close())
	m.s = openStore(t, m.dir, m.lazy)
	require.GreaterOrEqual(t, m.s.epoch, epoch, "a report of before is never newer than a change of now")
	require.ElementsMatch(t, slices.Collect(maps.Values(m.s.jobs)), m.s.ready, "every unfinished job is to be handed out")
	require.Empty(t, m.s.busy)
	after := contentOf(m.s)
	for i, r := range before.rows {
		if r.State != destroying || r.Job != "" {
			continue
		}
		again := after.rows[i]
		require.Equal(t, destroyBox, after.jobs[again.Job].Kind, "a destroy is tried again")
		delete(after.jobs, again.Job)
		require.Greater(t, again.Version, r.Version)
		after.rows[i], after.seq = r, before.seq
	}
	require.Equal(t, before, after)
}

func (m *storeMachine) Check(t *rapid.T) {
	require.Equal(t, unsaved{map[string]bool{}, map[string]bool{}, map[string]bool{}, false}, m.s.unsaved)
	require.Empty(t, m.s.over)
}

func TestStore_OutlivesTheProcess(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &storeMachine{dir: filepath.Join(t.TempDir(), "data"), lazy: rapid.Bool().Draw(rt, "lazy")}
		m.s = openStore(rt, m.dir, m.lazy)
		rt.Repeat(rapid.StateMachineActions(m))
		m.Kill(rt)
		require.NoError(rt, m.s.file.bolt.Close())
	})
}

func TestStore_GoneRowsAreForgottenInTheFileToo(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, false)
	s.keep = 50
	for range s.keep + 5 {
		r, err := s.insert(orgA, spec{}, admission{})
		require.NoError(t, err)
		s.complete(r.job.id, "no boot", "")
	}
	require.NoError(t, s.file.bolt.Close())
	again := openStore(t, dir, false)
	require.Len(t, again.rows, s.keep)
	require.Equal(t, s.gone, again.gone)
	require.NoError(t, again.file.bolt.Close())
}

// Whoever cannot write says nothing more, and is over.
func TestStore_ThatCannotWriteGoesSilent(t *testing.T) {
	s := openStore(t, t.TempDir(), false)
	r, err := s.insert(orgA, spec{}, admission{})
	require.NoError(t, err)
	require.NoError(t, s.file.bolt.Close())
	for _, op := range []func(){
		func() { s.complete(r.job.id, "", "") },
		func() { s.find(orgA, r.id) },
		func() { s.flush() },
	} {
		said := make(chan bool, 1)
		go func() {
			defer close(said)
			op()
			said <- true
		}()
		require.False(t, <-said)
	}
	require.ErrorContains(t, <-s.file.failed, "write database ")
	select {
	case <-r.job.done:
		require.Fail(t, "the job was called done")
	default:
	}
}

func TestDatabase_BadFileIsOneClearLine(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, databaseFile)
	require.NoError(t, os.WriteFile(file, []byte("not a database, and longer than the smallest page of one"), 0o600))
	_, err := openDatabase(dir)
	require.ErrorContains(t, err, "open database "+file+": ")
	_, err = openDatabase(filepath.Join(file, "below"))
	require.ErrorContains(t, err, "make data_dir: ")

	s := openStore(t, t.TempDir(), false)
	info, err := os.Stat(s.file.bolt.Path())
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	_, err = openDatabase(filepath.Dir(s.file.bolt.Path()))
	require.ErrorContains(t, err, "another process uses it")
	require.NoError(t, s.file.bolt.Close())
}

// BenchmarkStore is the life of a box in the store: create, exec, stop, start, stop and delete. That is six
// steps of a plan, with the polls and completions of their jobs. There are rows of destroyed
// boxes, too.
func BenchmarkStore(b *testing.B) {
	for _, where := range []string{"memory", "file"} {
		b.Run(where, func(b *testing.B) {
			s := newStore(false)
			if where == "file" {
				s = openStore(b, b.TempDir(), false)
				defer s.file.bolt.Close()
			}
			for i := range 1000 {
				life(b, s, i)
			}
			for b.Loop() {
				life(b, s, 0)
			}
		})
	}
}

func life(t require.TestingT, s *store, n int) {
	must := func(r record, err error) record {
		require.NoError(t, err)
		jobs, _, _ := s.take("http://r", "http://r", 32)
		require.Len(t, jobs, 1)
		j, ok := s.complete(jobs[0].id, "", "core")
		require.True(t, ok)
		return j.result
	}
	r, err := s.insert(orgA, spec{Name: fmt.Sprint("name", n), Image: defaultImage, Env: map[string]string{"K": "v"}}, admission{uniqueName: true})
	require.NoError(t, err)
	s.release(r.job)
	r = must(r, nil)
	s.active(r.id)
	s.countExec(r.org, true)
	r = must(s.begin(r, stopping, stopped, stopBox))
	r = must(s.begin(r, starting, started, startBox))
	r = must(s.begin(r, stopping, stopped, stopBox))
	must(s.begin(r, destroying, destroyed, destroyBox))
}
