package embedded

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"chaos/model"
	"chaos/stack/journal"
)

// steps makes requests one after the other and checks the status of each answer and, where given,
// the status of the box that it shows.
func steps(t *testing.T, s *Stack, id string, list [][4]string) {
	t.Helper()
	want := map[string]int{"200": 200, "201": 201, "204": 204, "400": 400, "404": 404, "409": 409}
	for _, c := range list {
		body := ""
		if c[1] == "/exec" {
			body = `{"command":"sleep","args":["1000"]}`
		}
		status, out, err := call(s, c[0], "/v1/boxes/"+id+c[1], body)
		require.NoError(t, err)
		require.Equal(t, want[c[2]], status, "%s %s: %v", c[0], c[1], out)
		if c[3] != "" {
			require.Equal(t, c[3], out["status"], "%s %s", c[0], c[1])
		}
	}
}

// processes counts what runs in boxes.
func processes(t *testing.T, s *Stack) int {
	t.Helper()
	left, err := s.Residue(t.Context())
	require.NoError(t, err)
	n := 0
	for _, l := range left {
		if l.PID != 0 {
			n++
		}
	}
	return n
}

func TestServe_ALife(t *testing.T) {
	s := begin(t, Options{Profile: "serve"})
	require.NotContains(t, s.URL(), "/api")
	status, out, err := call(s, "POST", "/v1/boxes", "")
	require.NoError(t, err)
	require.Equal(t, 201, status, out)
	require.Equal(t, "configured", out["status"])
	id := out["box_id"].(string)
	require.Zero(t, processes(t, s), "it has not booted")
	requireLogged(t, s, "created box", "name="+id)
	steps(t, s, id, [][4]string{
		{"GET", "/metrics", "409", ""}, {"GET", "", "200", "configured"}, {"POST", "/stop", "409", ""},
		{"POST", "/exec", "201", ""}, {"GET", "", "200", "running"}, {"GET", "/metrics", "200", ""},
		{"POST", "/stop", "200", "stopped"},
	})
	require.Zero(t, processes(t, s), "a stop is answered when it is done")
	steps(t, s, id, [][4]string{
		{"GET", "/metrics", "409", ""}, {"GET", "", "200", "stopped"}, {"POST", "/stop", "200", "stopped"},
		{"POST", "/exec", "201", ""}, {"GET", "", "200", "running"}, {"POST", "/start", "200", "running"},
		{"DELETE", "", "204", ""},
	})
	left, err := s.Residue(t.Context())
	require.NoError(t, err)
	require.Empty(t, left, "so is a delete")
	steps(t, s, id, [][4]string{{"GET", "", "404", ""}, {"POST", "/exec", "404", ""}, {"DELETE", "", "404", ""}})
}

func TestServe_Reject(t *testing.T) {
	s := begin(t, Options{Profile: "serve", Flags: model.Flags{model.FlagExecOnStopped: model.Reject}})
	_, out, err := call(s, "POST", "/v1/boxes", "")
	require.NoError(t, err)
	id := out["box_id"].(string)
	steps(t, s, id, [][4]string{
		{"POST", "/exec", "201", ""}, {"POST", "/stop", "200", "stopped"}, {"POST", "/exec", "409", ""},
		{"GET", "", "200", "stopped"}, {"POST", "/start", "200", "running"}, {"POST", "/exec", "201", ""},
	})
}

func TestAutostart_ExecsAgainstStops(t *testing.T) {
	s := begin(t, Options{Flags: model.Flags{model.FlagExecOnStopped: model.Autostart}})
	_, out, err := call(s, "POST", "/v1/boxes", "")
	require.NoError(t, err)
	id := out["box_id"].(string)
	for range 15 {
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				status, out, err := call(s, "POST", "/v1/boxes/"+id+"/exec", `{"command":"true"}`)
				if err != nil || status != 201 {
					t.Errorf("exec: %d %v %v", status, out, err)
				}
			})
			all.Go(func() {
				status, out, err := call(s, "POST", "/v1/boxes/"+id+"/stop", "")
				if err != nil || status != 201 && status != 400 && status != 409 {
					t.Errorf("stop: %d %v %v", status, out, err)
				}
			})
		}
		all.Wait()
	}
	status, _, err := call(s, "POST", "/v1/boxes/"+id+"/exec", `{"command":"sleep","args":["1000"]}`)
	require.NoError(t, err)
	require.Equal(t, 201, status)
	steps(t, s, id, [][4]string{{"GET", "", "200", "running"}, {"GET", "", "200", "running"}})
}

// requireLogged waits for a line of the runner with all the given parts.
func requireLogged(t *testing.T, s *Stack, parts ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, s.Journal().Sync(ctx))
	entries, _, err := s.Journal().Scan(ctx, journal.Cursor(""))
	require.NoError(t, err)
	for _, e := range entries {
		found := e.Identifier == runnerUnit
		for _, p := range parts {
			found = found && strings.Contains(e.Message, p)
		}
		if found {
			return
		}
	}
	t.Fatalf("no line with %q among %d", parts, len(entries))
}

func TestOptions_Contract(t *testing.T) {
	for _, c := range []struct {
		profile, flags, want, refused string
	}{
		{"", "", "cloud", ""},
		{"cloud", "exec-on-stopped=autostart", "cloud (exec-on-stopped=autostart)", ""},
		{"cloud", "after-create=running,stop=async", "cloud", ""},
		{"serve", "", "serve", ""},
		{"serve", "exec-on-stopped=reject", "serve (exec-on-stopped=reject)", ""},
		{"spec", "", "", "the embedded stack plays cloud or serve, not spec"},
		{"nope", "", "", "the embedded stack plays cloud or serve, not nope"},
		{"cloud", "after-create=configured", "", "cannot play cloud with after-create=configured, only with running"},
		{"serve", "stop=async", "", "cannot play serve with stop=async, only with sync"},
	} {
		flags, err := model.ParseFlags(c.flags)
		require.NoError(t, err)
		got, err := Options{Profile: c.profile, Flags: flags}.Contract()
		if c.refused != "" {
			require.ErrorContains(t, err, c.refused)
			_, err = Start(t.Context(), Options{Profile: c.profile, Flags: flags})
			require.ErrorContains(t, err, c.refused)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, c.want, got.String())
	}
}

func TestTarget_SaysWhichContractItKeeps(t *testing.T) {
	s := begin(t, Options{Profile: "serve", Flags: model.Flags{model.FlagExecOnStopped: model.Reject}})
	target := NewTarget(s)
	defer target.Close()
	require.Equal(t, "serve", target.Profile())
	require.Equal(t, "exec-on-stopped=reject", target.Flags().String())
	require.Equal(t, "embedded serve (exec-on-stopped=reject)", target.Describe())
	status, _, err := callAs(s.Key(), http.MethodGet, s.URL()+"/v1/me", "")
	require.NoError(t, err)
	require.Equal(t, 200, status)
}
