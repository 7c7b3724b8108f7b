package api

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const admin = "admin-token"

func withAdmin(c *Config) { c.AdminToken = admin }

// open opens an organization of so many boxes and returns its id and key.
func (g *rig) open(limit int) (id, key string) {
	a := g.as(admin, "POST", "/v1/organizations", fmt.Sprintf(`{"box_limit":%d}`, limit))
	require.Equal(g.t, 201, a.status, a.raw)
	return a.body["id"].(string), a.body["key"].(string)
}

func TestOrganizations_AreForTheAdministrator(t *testing.T) {
	g := newRig(t, withAdmin)
	for _, k := range []string{"", keyA, "nobody", token} {
		g.refused(g.as(k, "POST", "/v1/organizations", `{"box_limit":1}`), 401, "unauthenticated", "Unauthorized")
		g.refused(g.as(k, "DELETE", "/v1/organizations/"+orgA, ""), 401, "unauthenticated", "Unauthorized")
	}
	g.refused(g.as(admin, "GET", "/v1/boxes", ""), 401, "unauthenticated", "Unauthorized")
	g.refused(g.as(admin, "POST", "/v1/organizations", `{}`), 400, "invalid_argument", "box_limit")
	g.refused(g.as(admin, "DELETE", "/v1/organizations/none", ""), 404, "not_found", "none")
	nobody := newRig(t)
	for _, k := range []string{"", admin} {
		nobody.refused(nobody.as(k, "POST", "/v1/organizations", `{"box_limit":1}`), 401, "unauthenticated", "Unauthorized")
	}
}

func TestOrganizations_EachHasItsOwnLimitAndCounts(t *testing.T) {
	g := newRig(t, withAdmin)
	one, k1 := g.open(1)
	two, k2 := g.open(2)
	require.NotEqual(t, one, two)
	require.Equal(t, one, g.as(k1, "GET", "/v1/me", "").body["path_prefix"])
	require.Equal(t, 201, g.as(k1, "POST", "/v1/boxes", `{"name":"n"}`).status)
	g.refused(g.as(k1, "POST", "/v1/boxes", ""), 429, "resource_exhausted", "1 of 1")
	require.Equal(t, 201, g.as(k2, "POST", "/v1/"+two+"/boxes", `{"name":"n"}`).status)
	g.refused(g.as(k2, "GET", "/v1/"+one+"/boxes", ""), 403, "permission_denied", "prefix")
	require.Equal(t, 201, g.as(k2, "POST", "/v1/boxes/n/exec", `{"command":"true"}`).status)
	require.EqualValues(t, 1, g.as(k2, "GET", "/v1/metrics", "").body["total_commands_executed"])
	require.EqualValues(t, 0, g.as(k1, "GET", "/v1/metrics", "").body["total_commands_executed"])
	require.Equal(t, 204, g.as(k1, "DELETE", "/v1/boxes/n", "").status)
	require.Equal(t, 201, g.as(k1, "POST", "/v1/boxes", "").status, "an accepted delete makes room")
}

func TestOrganizations_WhatAClosedOneLeavesIsSwept(t *testing.T) {
	g := newRig(t, withAdmin, func(c *Config) { c.SweepMillis = 1 })
	org, k := g.open(1)
	require.Equal(t, 201, g.as(k, "POST", "/v1/boxes", "").status)
	kept := g.create("")
	require.Equal(t, 204, g.as(admin, "DELETE", "/v1/organizations/"+org, "").status)
	g.refused(g.as(k, "GET", "/v1/boxes", ""), 401, "unauthenticated", "Unauthorized")
	g.refused(g.as(admin, "DELETE", "/v1/organizations/"+org, ""), 404, "not_found", org)
	require.Eventually(t, func() bool { return len(g.runner.look()) == 1 }, patience, time.Millisecond)
	require.Equal(t, "running", g.status(kept), "boxes of others stay")
}

func TestBug_QuotaRace(t *testing.T) {
	for _, bug := range []string{"", "quota-race"} {
		g := newRig(t, withBug(bug), func(c *Config) { c.BoxLimit = 1 })
		over := func() bool {
			made := count(g.parallel(3, func(int) (string, string, string) { return "POST", "/v1/boxes", "" }, nil))
			require.Equal(t, 3, made[201]+made[429])
			for _, id := range g.listed("") {
				require.Equal(t, 204, g.do("DELETE", "/v1/boxes/"+id, "").status)
			}
			return made[201] > 1
		}
		if bug != "" {
			require.Eventually(t, over, patience, time.Millisecond)
		} else {
			for range 20 {
				require.False(t, over())
			}
		}
		g.create("")
		g.refused(g.do("POST", "/v1/boxes", ""), 429, "resource_exhausted", "1 of 1")
	}
}

func TestBug_TenantLeak(t *testing.T) {
	g := newRig(t, withBug("tenant-leak"))
	id := g.create(`{"name":"n"}`)
	for _, c := range [][2]string{{"GET", "/metrics"}, {"GET", "/executions/e"}, {"DELETE", "/executions/e"}, {"POST", "/executions/e/signal"}} {
		require.Equal(t, 200, g.as(keyB, c[0], "/v1/boxes/"+id+c[1], "{}").status)
		require.Equal(t, 404, g.as(keyB, c[0], "/v1/boxes/n"+c[1], "{}").status)
	}
	for _, c := range [][2]string{{"GET", ""}, {"POST", "/stop"}, {"POST", "/exec"}} {
		require.Equal(t, 404, g.as(keyB, c[0], "/v1/boxes/"+id+c[1], `{"command":"true"}`).status)
	}
	require.Equal(t, 401, g.as("nobody", "GET", "/v1/boxes/"+id+"/metrics", "").status)
}

func TestBug_Unguarded500(t *testing.T) {
	g := newRig(t, withBug("unguarded-500"))
	id := g.create("")
	for _, k := range []string{"", "nobody"} {
		for _, c := range [][2]string{{"GET", "/metrics"}, {"POST", "/exec"}, {"POST", "/stop"}, {"GET", "/executions/e"}} {
			g.refused(g.as(k, c[0], "/v1/boxes/"+id+c[1], `{"command":"true"}`), 500, "internal", "Internal server error")
		}
		require.Equal(t, 401, g.as(k, "GET", "/v1/boxes/"+id, "").status)
		require.Equal(t, 401, g.as(k, "GET", "/v1/boxes", "").status)
	}
	require.Equal(t, 404, g.as(keyB, "GET", "/v1/boxes/"+id+"/metrics", "").status)
	require.Equal(t, "running", g.status(id))
}

func TestBug_RunningCount(t *testing.T) {
	for bug, want := range map[string]int{"": 1, "running-count": 2} {
		g := newRig(t, withBug(bug))
		g.create(`{"name":"a"}`)
		g.create(`{"name":"b"}`)
		require.EqualValues(t, 2, g.do("GET", "/v1/metrics", "").body["num_running_boxes"])
		require.Equal(t, 204, g.do("DELETE", "/v1/boxes/a", "").status)
		require.EqualValues(t, want, g.do("GET", "/v1/metrics", "").body["num_running_boxes"], bug)
	}
}

func TestBug_BlankName(t *testing.T) {
	g := newRig(t, withBug("blank-name"))
	a := g.do("POST", "/v1/boxes", `{"name":""}`)
	require.Equal(t, 201, a.status)
	require.NotEmpty(t, a.body["name"])
	require.Equal(t, 400, g.do("POST", "/v1/boxes", `{"name":"-"}`).status)
}
