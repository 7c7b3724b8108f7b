package api

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// kept gives the API of a rig a data directory, so that it can be restarted.
func kept(t *testing.T) func(*Config) {
	return func(c *Config) { c.DataDir, c.AdminToken, c.DatabaseMicros = t.TempDir(), "admin", -1 }
}

// kill ends the API as kill -9 does, in the midst of whatever it is doing: from one moment on nothing is
// written and, with that, nothing answered.
func (g *rig) kill() {
	require.NoError(g.t, g.api.store.file.bolt.Close())
	g.front.CloseClientConnections()
	g.stop()
}

// stop ends the API in good order.
func (g *rig) stop() {
	g.front.Listener.Close()
	g.api.stop()
	g.front.CloseClientConnections()
	g.front.Close()
	g.api.Close()
}

// agreed waits until the API and the runner say the same of every box, and nothing is under way.
func (g *rig) agreed() {
	g.t.Helper()
	require.Eventually(g.t, func() bool {
		g.runner.mu.Lock()
		defer g.runner.mu.Unlock()
		rows := g.api.store.list("")
		for _, r := range rows {
			if r.pending || r.state != failed && r.state.status() != g.runner.boxes[r.id] {
				return false
			}
		}
		return len(rows) == len(g.runner.boxes)
	}, patience, time.Millisecond)
}

func TestRestart_RecordsSurvive(t *testing.T) {
	for name, end := range map[string]func(*rig){"killed": (*rig).kill, "stopped": (*rig).stop} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, kept(t), func(c *Config) { c.BoxLimit = 3 })
			on := g.create(`{"name":"on","env":{"A":"b"},"auto_stop":60}`)
			off := g.create(`{"name":"off"}`)
			gone := g.create(`{"name":"gone"}`)
			require.Equal(t, 201, g.do("POST", "/v1/boxes/off/stop", "").status)
			g.eventually(off, "stopped")
			require.Equal(t, 204, g.do("DELETE", "/v1/boxes/gone", "").status)
			require.Equal(t, 201, g.do("POST", "/v1/boxes/on/exec", `{"command":"true"}`).status)
			org := g.as("admin", "POST", "/v1/organizations", `{"box_limit":1}`)
			require.Equal(t, 201, org.status, org.raw)
			closed := g.as("admin", "POST", "/v1/organizations", `{"box_limit":1}`)
			require.Equal(t, 204, g.as("admin", "DELETE", "/v1/organizations/"+closed.body["id"].(string), "").status)
			g.agreed()
			before := []string{g.do("GET", "/v1/boxes/on", "").raw, g.do("GET", "/v1/boxes/off", "").raw, g.do("GET", "/v1/metrics", "").raw}
			epoch := g.runner.report(t, 0, nil)
			active, _ := g.api.store.find(orgA, on)

			end(g)
			g.start()
			require.Equal(t, before, []string{g.do("GET", "/v1/boxes/on", "").raw, g.do("GET", "/v1/boxes/off", "").raw, g.do("GET", "/v1/metrics", "").raw})
			require.Equal(t, []string{on, off}, g.listed(""))
			require.Equal(t, 404, g.do("GET", "/v1/boxes/"+gone, "").status)
			require.Equal(t, 409, g.do("POST", "/v1/boxes", `{"name":"on"}`).status, "the name is still taken")
			require.Equal(t, 201, g.do("POST", "/v1/boxes/on/exec", `{"command":"true"}`).status, "the runner is known at once")
			g.create(`{"name":"gone"}`)
			require.Equal(t, 429, g.do("POST", "/v1/boxes", "").status)
			require.GreaterOrEqual(t, g.runner.report(t, 0, nil), epoch)

			key := org.body["key"].(string)
			require.Equal(t, 201, g.as(key, "POST", "/v1/"+org.body["id"].(string)+"/boxes", "").status, "an organization that was opened")
			require.Equal(t, 429, g.as(key, "POST", "/v1/boxes", "").status)
			require.Equal(t, 401, g.as(closed.body["key"].(string), "GET", "/v1/boxes", "").status)

			g.api.sweep(active.active.Add(59 * time.Second))
			require.Equal(t, "running", g.status(on))
			g.api.sweep(time.Now().Add(61 * time.Second))
			g.eventually(on, "stopped")
		})
	}
}

// A job that was under way when the API died is done once, and its box gets where it was going.
func TestRestart_JobsGoOn(t *testing.T) {
	for _, c := range []struct{ kind, method, path, end string }{
		{createBox, "POST", "", "running"},
		{startBox, "POST", "/off/start", "running"},
		{stopBox, "POST", "/on/stop", "stopped"},
		{destroyBox, "DELETE", "/on", "404"},
	} {
		for _, when := range []string{"down", "up again"} {
			t.Run(c.kind+" ends while the API is "+when, func(t *testing.T) {
				g := newRig(t, kept(t))
				on, off := g.create(`{"name":"on"}`), g.create(`{"name":"off"}`)
				require.Equal(t, 201, g.do("POST", "/v1/boxes/off/stop", "").status)
				g.eventually(off, "stopped")
				g.runner.hold(c.kind)
				waits := c.kind == createBox || c.kind == startBox
				answered := make(chan error, 1)
				go func() {
					_, err := call(keyA, c.method, g.url+"/v1/boxes"+c.path, `{"name":"new"}`)
					answered <- err
				}()
				require.Eventually(t, func() bool { g.runner.mu.Lock(); defer g.runner.mu.Unlock(); return inProgress(g.runner) == 1 }, patience, time.Millisecond)
				if !waits {
					require.NoError(t, <-answered)
				}
				g.kill()
				if waits {
					require.Error(t, <-answered, "the connection is cut")
				}
				if when == "down" {
					g.runner.letGo(c.kind)
					require.Eventually(t, func() bool { g.runner.mu.Lock(); defer g.runner.mu.Unlock(); return inProgress(g.runner) == 0 }, patience, time.Millisecond)
				}
				g.start()
				if when == "up again" {
					require.Eventually(t, func() bool { return len(g.api.store.snapshotReady()) == 0 }, patience, time.Millisecond)
					g.runner.letGo(c.kind)
				}
				box := map[string]string{createBox: "new", startBox: off, stopBox: on, destroyBox: on}[c.kind]
				g.eventually(box, c.end)
				g.agreed()
				g.runner.mu.Lock()
				defer g.runner.mu.Unlock()
				for id, kinds := range g.runner.order {
					n := 0
					for _, k := range kinds {
						if k == c.kind {
							n++
						}
					}
					require.LessOrEqual(t, n, 1, "%s: %v", id, kinds)
				}
			})
		}
	}
}

// inProgress counts the jobs that the runner works on.
func inProgress(f *fakeRunner) (n int) {
	for _, a := range f.active {
		n += a
	}
	return n
}

// snapshotReady is the queue.
func (s *store) snapshotReady() []*job {
	s.enter()
	defer s.mu.Unlock()
	return append([]*job{}, s.ready...)
}

func TestRestart_DestroyThatFailedIsTriedAgain(t *testing.T) {
	g := newRig(t, kept(t))
	id := g.create("")
	g.runner.fail(destroyBox, true)
	require.Equal(t, 204, g.do("DELETE", "/v1/boxes/"+id, "").status)
	require.Eventually(t, func() bool { r, ok := g.api.store.findAny(orgA, id); return ok && r.job == nil }, patience, time.Millisecond)
	g.kill()
	g.runner.fail(destroyBox, false)
	g.start()
	g.agreed()
	require.Empty(t, g.runner.look())
}

// restartMachine is a caller whose API is killed all the time. It knows what each box may be.
type restartMachine struct {
	g          *rig
	boxes      [3]map[string]bool // the statuses that the box of each name may settle in; "404" = there is none
	least      int                // execs that must have been counted
	most       int                // and that may have been
	cut, kills int
}

// change makes a call that is to be answered ok, and maybe kills the API meanwhile. It reports whether the
// call was answered; if not, it may have happened or not.
func (m *restartMachine) change(t *rapid.T, method, path, body string, ok int) bool {
	kill := rapid.IntRange(0, 2).Draw(t, "kill") == 0
	var err error
	var a answer
	done := make(chan struct{})
	before := m.handled()
	go func() {
		defer close(done)
		a, err = call(keyA, method, m.g.url+path, body)
	}()
	if kill {
		m.kills++
		// At once, when the runner has begun with the job, or a little later.
		for wait := rapid.IntRange(0, 5).Draw(t, "wait"); wait > 0 && m.handled() == before; wait-- {
			m.g.runner.pause()
		}
		m.g.kill()
	}
	<-done
	if kill {
		m.g.start()
	}
	if err != nil {
		require.True(t, kill)
		m.cut++
		return false
	}
	require.Equal(t, ok, a.status, a.raw)
	return true
}

// handled counts the jobs that the runner has heard of.
func (m *restartMachine) handled() int {
	m.g.runner.mu.Lock()
	defer m.g.runner.mu.Unlock()
	return len(m.g.runner.jobs)
}

// settled waits until the box of a name is no more changing and checks that it is what it may be.
func (m *restartMachine) settled(t *rapid.T, name int) string {
	var st string
	require.Eventually(t, func() bool {
		st = m.g.status(fmt.Sprint("n", name))
		return st != "configured" && st != "stopping"
	}, patience, time.Millisecond)
	require.Contains(t, m.boxes[name], st)
	m.boxes[name] = map[string]bool{st: true}
	return st
}

// become notes that the box goes from one status to another, or may have gone there.
func (m *restartMachine) become(name int, to string, answered bool) {
	if answered {
		clear(m.boxes[name])
	}
	m.boxes[name][to] = true
}

func (m *restartMachine) Change(t *rapid.T) {
	name := rapid.IntRange(0, len(m.boxes)-1).Draw(t, "name")
	path := fmt.Sprint("/v1/boxes/n", name)
	st := m.settled(t, name)
	remove := rapid.IntRange(0, 2).Draw(t, "remove") == 0
	switch {
	case st == "404":
		m.become(name, "running", m.change(t, "POST", "/v1/boxes", fmt.Sprintf(`{"name":"n%d"}`, name), 201))
	case remove:
		m.become(name, "404", m.change(t, "DELETE", path, "", 204))
	case st == "running":
		m.become(name, "stopped", m.change(t, "POST", path+"/stop", "", 201))
	default:
		m.become(name, "running", m.change(t, "POST", path+"/start", "", 201))
	}
}

func (m *restartMachine) Exec(t *rapid.T) {
	name := rapid.IntRange(0, len(m.boxes)-1).Draw(t, "name")
	if m.settled(t, name) != "running" {
		t.Skip("does not run")
	}
	m.most++
	if m.change(t, "POST", fmt.Sprintf("/v1/boxes/n%d/exec", name), `{"command":"true"}`, 201) {
		m.least++
	}
}

func (m *restartMachine) Stop(*rapid.T) {
	m.g.stop()
	m.g.start()
}

func (m *restartMachine) Check(*rapid.T) {}

// checks sets how often rapid tries in this test, unless the command line says it.
func checks(t *testing.T, n string) {
	f := flag.Lookup("rapid.checks")
	if f.Value.String() != f.DefValue {
		return
	}
	require.NoError(t, flag.Set(f.Name, n))
	t.Cleanup(func() { require.NoError(t, flag.Set(f.Name, f.DefValue)) })
}

// What was answered is so after any number of restarts, what was not has happened or has not, and nothing
// happens twice.
func TestRestart_RandomCallsAndKills(t *testing.T) {
	checks(t, "20")
	cut, kills := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		g := newRig(t, kept(t))
		m := &restartMachine{g: g}
		for i := range m.boxes {
			m.boxes[i] = map[string]bool{"404": true}
		}
		rt.Repeat(rapid.StateMachineActions(m))
		want := 0
		for i := range m.boxes {
			if m.settled(rt, i) != "404" {
				want++
			}
		}
		g.agreed()
		require.Len(rt, g.listed(""), want)
		n := int(g.do("GET", "/v1/metrics", "").body["total_commands_executed"].(float64))
		require.True(rt, m.least <= n && n <= m.most, "%d execs counted, %d to %d made", n, m.least, m.most)
		g.runner.mu.Lock()
		defer g.runner.mu.Unlock()
		require.False(rt, g.runner.overlap)
		for id, kinds := range g.runner.order {
			require.Equal(rt, createBox, kinds[0], id)
			for i, k := range kinds[1:] {
				require.NotEqual(rt, createBox, k, "%s: %v", id, kinds)
				require.NotEqual(rt, kinds[i], k, "%s: %v", id, kinds)
			}
		}
		cut, kills = cut+m.cut, kills+m.kills
	})
	t.Logf("%d kills, %d calls cut", kills, cut)
	require.Positive(t, cut)
}
