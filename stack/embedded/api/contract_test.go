package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPublicRoutes(t *testing.T) {
	g := newRig(t)
	a := g.as("", "GET", "/health", "")
	require.Equal(t, 200, a.status)
	require.Equal(t, true, a.body["runner"])
	require.Equal(t, Version, a.header.Get("X-BoxLite-Api-Version"))
	a = g.as("", "GET", "/v1/config", "")
	require.Equal(t, 200, a.status)
	require.Equal(t, false, a.body["capabilities"].(map[string]any)["snapshots_enabled"])
	a = g.do("GET", "/v1/me", "")
	require.Equal(t, 200, a.status)
	require.Equal(t, orgA, a.body["path_prefix"])
	require.Contains(t, a.body["scopes"], "box:exec")
}

func TestAuth_MissingMalformedAndWrongKeysAreRefused(t *testing.T) {
	g := newRig(t)
	for _, header := range []string{"", "Bearer", "Bearer ", "Basic " + keyA, keyA, "Bearer wrong", "Bearer " + keyA + "x", "Bearer " + keyA[:3]} {
		for _, path := range []string{"/v1/me", "/v1/boxes", "/v1/orga/boxes", "/v1/boxes/x", "/v1/metrics"} {
			req, err := http.NewRequest("GET", g.url+path, nil)
			require.NoError(t, err)
			if header != "" {
				req.Header.Set("Authorization", header)
			}
			resp, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, 401, resp.StatusCode, "%q %s", header, path)
		}
	}
	g.refused(g.as("wrong", "GET", "/v1/me", ""), 401, "unauthenticated", "Unauthorized")
	g.refused(g.as(keyA, "POST", "/runner/jobs/poll", "{}"), 401, "unauthenticated", "Unauthorized")
	g.refused(g.as(token, "GET", "/v1/boxes", ""), 401, "unauthenticated", "Unauthorized")
}

func TestRoutes_UnknownPathsAndMethodsAreTyped(t *testing.T) {
	g := newRig(t)
	for _, c := range [][2]string{
		{"GET", "/nothing"},
		{"GET", "/v1"},
		{"PUT", "/v1/boxes"},
		{"PATCH", "/v1/boxes/x"},
		{"GET", "/v1/boxes/x/start"},
		{"POST", "/v1/boxes/x/files"},
		{"GET", "/v1/boxes/x/executions"},
		{"GET", "/v1/boxes/x/executions/e/attach"},
		{"GET", "/v1/boxes//executions/e"},
		{"GET", "/v1/orga"},
		{"GET", "/v1/orga/images"},
		{"POST", "/v1/me"},
	} {
		g.refused(g.do(c[0], c[1], ""), 404, "not_found", "Cannot "+c[0])
	}
}

func TestCreate_AnswersARunningBox(t *testing.T) {
	g := newRig(t)
	a := g.do("POST", "/v1/boxes", `{"name":"my-box","image":"alpine:latest","cpus":2,"memory_mib":256,"disk_size_gb":3,"working_dir":"/w","env":{"A":"1"},`+
		`"network":{"outbound":{"mode":"enabled"},"inbound":{"mode":"enabled"}},"detach":false,"auto_stop":60,"auto_delete":600}`)
	require.Equal(t, 201, a.status, a.raw)
	id := a.body["box_id"].(string)
	require.Len(t, id, 12)
	require.Equal(t, "/api/v1/boxes/"+id, a.header.Get("Location"))
	require.Equal(t, "running", a.body["status"])
	require.Equal(t, "my-box", a.body["name"])
	require.Equal(t, "alpine:latest", a.body["image"])
	require.EqualValues(t, 2, a.body["cpus"])
	require.EqualValues(t, 256, a.body["memory_mib"])
	require.EqualValues(t, 60, a.body["auto_stop"])
	for _, k := range []string{"created_at", "updated_at"} {
		_, err := time.Parse(time.RFC3339, a.body[k].(string))
		require.NoError(t, err)
	}
	for _, ref := range []string{id, "my-box"} {
		for _, prefix := range []string{"", "/orga"} {
			b := g.do("GET", "/v1"+prefix+"/boxes/"+ref, "")
			require.Equal(t, 200, b.status)
			require.Equal(t, a.body, b.body)
			h := g.do("HEAD", "/v1"+prefix+"/boxes/"+ref, "")
			require.Equal(t, 204, h.status)
			require.Empty(t, h.raw)
		}
	}
	require.Equal(t, 404, g.do("HEAD", "/v1/boxes/none", "").status)
	require.Equal(t, "core"+id, func() string { r, _ := g.api.store.find(orgA, id); return r.coreID }())
}

func TestCreate_Defaults(t *testing.T) {
	g := newRig(t)
	for _, body := range []string{"", "{}", `{"image":"alpine:latest","network":{"outbound":{"mode":"enabled"}},"detach":false}`, `{"name":null,"cpus":null}`} {
		a := g.do("POST", "/v1/boxes/", body)
		require.Equal(t, 201, a.status, a.raw)
		require.Equal(t, a.body["box_id"], a.body["name"])
		require.EqualValues(t, 1, a.body["cpus"])
		require.EqualValues(t, 1024, a.body["memory_mib"])
	}
}

func TestCreate_RefusesAndLeavesNothing(t *testing.T) {
	g := newRig(t)
	for _, c := range []struct{ body, code, text string }{
		{`{`, "invalid_argument", "valid JSON"},
		{`[]`, "invalid_argument", ""},
		{`{} {}`, "invalid_argument", "more than one"},
		{`{"colour":"red"}`, "invalid_argument", "property colour should not exist"},
		{`{"cpus":"two"}`, "invalid_argument", "cpus must not be a string"},
		{`{"cpus":1.5}`, "invalid_argument", "cpus"},
		{`{"cpus":0}`, "invalid_argument", "cpus"},
		{`{"cpus":33}`, "invalid_argument", "cpus"},
		{`{"cpus":999}`, "invalid_argument", "cpus"},
		{`{"memory_mib":255}`, "invalid_argument", "memory_mib"},
		{`{"memory_mib":-1}`, "invalid_argument", "memory_mib"},
		{`{"memory_mib":99999999}`, "invalid_argument", "memory_mib"},
		{`{"disk_size_gb":0}`, "invalid_argument", "disk_size_gb"},
		{`{"name":""}`, "invalid_argument", "name"},
		{`{"name":" "}`, "invalid_argument", "name"},
		{`{"name":"-x"}`, "invalid_argument", "name"},
		{`{"name":"a/b"}`, "invalid_argument", "name"},
		{`{"name":"a\n"}`, "invalid_argument", "name"},
		{`{"name":"` + strings.Repeat("a", 129) + `"}`, "invalid_argument", "name"},
		{`{"image":"no-such:1"}`, "invalid_argument", "no-such:1"},
		{`{"image":"alpine:"}`, "invalid_argument", "alpine:"},
		{`{"image":""}`, "invalid_argument", "Image"},
		{`{"auto_stop":59}`, "invalid_argument", "60"},
		{`{"auto_delete":-1}`, "invalid_argument", "auto_delete"},
		{`{"secrets":[{"name":"s"}]}`, "unsupported", "secrets"},
		{`{"volumes":[{}]}`, "unsupported", "volumes"},
		{`{"cmd":["sleep"]}`, "unsupported", "cmd"},
		{`{"name":"` + strings.Repeat("a", maxBody) + `"}`, "invalid_argument", "larger"},
	} {
		g.refused(g.do("POST", "/v1/boxes", c.body), 400, c.code, c.text)
	}
	require.Empty(t, g.listed(""))
	require.Equal(t, 201, g.do("POST", "/v1/boxes", `{"cpus":32,"name":"`+strings.Repeat("a", 128)+`"}`).status)
}

func TestCreate_DuplicateNameAndNameFreedByDelete(t *testing.T) {
	g := newRig(t)
	id := g.create(`{"name":"n"}`)
	g.refused(g.do("POST", "/v1/boxes", `{"name":"n"}`), 409, "already_exists", "Box with name n already exists")
	require.Equal(t, 201, g.as(keyB, "POST", "/v1/boxes", `{"name":"n"}`).status, "names belong to an organization")
	g.runner.hold(destroyBox)
	require.Equal(t, 204, g.do("DELETE", "/v1/boxes/n", "").status)
	again := g.create(`{"name":"n"}`)
	require.NotEqual(t, id, again)
	require.Equal(t, []string{again}, g.listed(""))
	g.runner.letGo(destroyBox)
}

func TestCreate_BootFailureLeavesNothing(t *testing.T) {
	g := newRig(t)
	g.runner.fail(createBox, true)
	a := g.do("POST", "/v1/boxes", `{"name":"n"}`)
	g.refused(a, 400, "boot_failed", "Box failed to start")
	require.NotContains(t, a.raw, "secret")
	require.Empty(t, g.listed(""))
	g.runner.fail(createBox, false)
	g.create(`{"name":"n"}`)
}

func TestCreate_TimesOutAndIsDeletableAfterwards(t *testing.T) {
	g := newRig(t, func(c *Config) { c.ReadyWaitMillis = 50 })
	g.runner.hold(createBox)
	g.refused(g.do("POST", "/v1/boxes", `{"name":"n"}`), 408, "timeout", "failed to become ready")
	require.Equal(t, "configured", g.status("n"))
	g.refused(g.do("DELETE", "/v1/boxes/n", ""), 400, "invalid_state", "Box state change in progress")
	g.refused(g.do("POST", "/v1/boxes/n/stop", ""), 400, "invalid_state", "State change in progress")
	g.refused(g.do("POST", "/v1/boxes/n/exec", `{"command":"true"}`), 409, "invalid_state", "not in valid state")
	g.runner.letGo(createBox)
	g.eventually("n", "running")
	require.Equal(t, 204, g.do("DELETE", "/v1/boxes/n", "").status)
	require.Empty(t, g.listed(""))
}

func TestCreateDelay_ShowsTheBoxAsConfigured(t *testing.T) {
	g := newRig(t, func(c *Config) { c.CreateDelayMillis = 200 })
	done := make(chan answer, 1)
	go func() {
		a, err := call(keyA, "POST", g.url+"/v1/boxes", `{"name":"n"}`)
		if err == nil {
			done <- a
		}
		close(done)
	}()
	g.eventually("n", "configured")
	require.Equal(t, 201, (<-done).status)
	require.Equal(t, "running", g.status("n"))
}

func TestCreateDelay_DiffersFromBoxToBox(t *testing.T) {
	g := newRig(t, func(c *Config) { c.CreateDelayMillis, c.CreateDelayMostMillis = 1, 60_000 })
	for _, name := range []string{"a", "b", "c"} {
		go func() { _, _ = call(keyA, "POST", g.url+"/v1/boxes", `{"name":"`+name+`"}`) }()
	}
	// With a delay of a millisecond they would run at once; that all three are that quick is one chance in
	// many millions.
	g.eventually("c", "configured")
	g.eventually("a", "configured")
	g.eventually("b", "configured")
}

func TestNoRunner(t *testing.T) {
	g := newRig(t)
	id := g.create("")
	g.runner.close()
	g.refused(g.do("POST", "/v1/boxes/"+id+"/exec", `{"command":"true"}`), 503, "upstream_unavailable", "could not be reached")
	var last answer
	require.Eventually(t, func() bool { // its last poll may not have noticed yet, and looks alive when it does
		g.api.store.mu.Lock()
		g.api.store.polled = time.Now().Add(-time.Hour)
		g.api.store.mu.Unlock()
		last = g.do("POST", "/v1/boxes", "")
		return last.status == 503 && g.do("GET", "/health", "").body["runner"] == false
	}, patience, time.Millisecond)
	g.refused(last, 503, "upstream_unavailable", "No available runners")
}

func TestList_PagesAndFilters(t *testing.T) {
	g := newRig(t)
	var ids []string
	for i := range 7 {
		ids = append(ids, g.create(fmt.Sprintf(`{"name":"n%d"}`, i)))
	}
	require.Equal(t, ids, g.listed(""), "oldest first")
	var got []string
	for token := ""; ; {
		a := g.do("GET", "/v1/orga/boxes?pageSize=3&pageToken="+token, "")
		require.Equal(t, 200, a.status)
		require.LessOrEqual(t, len(a.body["boxes"].([]any)), 3)
		for _, b := range a.body["boxes"].([]any) {
			got = append(got, b.(map[string]any)["box_id"].(string))
		}
		next, more := a.body["next_page_token"].(string)
		if !more {
			break
		}
		token = next
	}
	require.Equal(t, ids, got)
	require.Equal(t, 201, g.do("POST", "/v1/boxes/n2/stop", "").status)
	g.eventually("n2", "stopped")
	require.Equal(t, []string{ids[2]}, g.listed("?status=stopped"))
	require.Len(t, g.listed("?status=running"), 6)
	for _, q := range []string{"pageSize=0", "pageSize=1001", "pageSize=x", "pageToken=%21", "status=happy"} {
		g.refused(g.do("GET", "/v1/boxes?"+q, ""), 400, "invalid_argument", strings.SplitN(q, "=", 2)[0])
	}
	m := g.do("GET", "/v1/metrics", "")
	require.EqualValues(t, 7, m.body["boxes_created_total"])
	require.EqualValues(t, 6, m.body["num_running_boxes"])
	require.EqualValues(t, 1, m.body["boxes_stopped_total"])
	require.EqualValues(t, 0, g.as(keyB, "GET", "/v1/metrics", "").body["boxes_created_total"])
}

func TestTenants_CannotTellForeignFromMissing(t *testing.T) {
	g := newRig(t)
	id := g.create(`{"name":"mine"}`)
	require.Len(t, g.listed(""), 1)
	for _, c := range [][2]string{
		{"GET", ""},
		{"DELETE", ""},
		{"POST", "/start"},
		{"POST", "/stop"},
		{"POST", "/exec"},
		{"GET", "/metrics"},
		{"GET", "/executions/e"},
		{"DELETE", "/executions/e"},
		{"POST", "/executions/e/signal"},
		{"POST", "/executions/e/resize"},
	} {
		foreign := g.as(keyB, c[0], "/v1/boxes/"+id+c[1], `{"command":"true"}`)
		missing := g.as(keyB, c[0], "/v1/boxes/aaaaaaaaaaaa"+c[1], `{"command":"true"}`)
		require.Equal(t, 404, foreign.status, c)
		for _, a := range []*answer{&foreign, &missing} {
			delete(a.body, "timestamp")
		}
		require.Equal(t, strings.ReplaceAll(fmt.Sprint(missing.body), "aaaaaaaaaaaa", id), fmt.Sprint(foreign.body))
		g.refused(g.as(keyB, c[0], "/v1/orga/boxes/"+id+c[1], ""), 403, "permission_denied", "prefix")
		g.refused(g.as(keyB, c[0], "/v1/nobody/boxes/"+id+c[1], ""), 403, "permission_denied", "prefix")
	}
	require.Equal(t, 404, g.as(keyB, "GET", "/v1/boxes/mine", "").status)
	require.Empty(t, g.as(keyB, "GET", "/v1/boxes", "").body["boxes"])
	require.Equal(t, "running", g.status(id))
}

func TestConfig_IncompleteIsRefused(t *testing.T) {
	for _, c := range []Config{
		{},
		{Keys: []Key{{"k", "o"}}},
		{Keys: []Key{{"", "o"}}, RunnerToken: "t"},
		{Keys: []Key{{"k", "boxes"}}, RunnerToken: "t"},
		{Keys: []Key{{"k", "o"}}, RunnerToken: "t", Bugs: "no-such-bug"},
	} {
		_, err := New(c, nil)
		require.Error(t, err)
	}
}
