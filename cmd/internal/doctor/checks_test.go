package doctor_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/cmd/internal/doctor"
	"chaos/stack"
)

// grades returns what Preflight makes of a server that answers /v1/me and /v1/boxes like this.
func grades(t *testing.T, me, boxes string, date time.Time) map[string]doctor.Check {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Date", date.UTC().Format(http.TimeFormat))
		fmt.Fprint(w, map[string]string{"/v1/me": me, "/v1/boxes": boxes}[q.URL.Path])
	}))
	defer s.Close()
	c := stack.New(stack.Endpoint{URL: s.URL, Key: "k"})
	defer c.Close()
	out := map[string]doctor.Check{}
	for _, x := range doctor.Preflight(t.Context(), c, time.Now) {
		out[x.Name] = x
		require.Equal(t, x.Grade == doctor.Bad || x.Grade == doctor.Warn, x.Do != "" && x.Grade != doctor.Blank, "%+v", x)
	}
	return out
}

func TestPreflight(t *testing.T) {
	good := grades(t, `{"sub":"x","scopes":["box:exec"]}`, `{"boxes":[{},{}]}`, time.Now())
	for _, name := range []string{"url", "key", "prefix", "clock", "boxes"} {
		require.Equal(t, doctor.Good, good[name].Grade, "%+v", good[name])
	}
	require.Equal(t, doctor.Blank, good["version"].Grade)
	require.Contains(t, good["boxes"].Seen, "2 there now")
	bad := grades(t, `{"scopes":["box:read"]}`, `{}`, time.Now().Add(-time.Minute))
	require.Equal(t, doctor.Bad, bad["key"].Grade)
	require.Contains(t, bad["key"].Seen, "lacks the scope box:exec")
	require.Equal(t, doctor.Warn, bad["clock"].Grade)
	require.Regexp(t, `differs by (59|1m0|1m1)s`, bad["clock"].Seen)
	require.Equal(t, doctor.Bad, bad["boxes"].Grade)
}

func TestPreflight_AStackThatIsNotThere(t *testing.T) {
	c := stack.New(stack.Endpoint{URL: "http://127.0.0.1:1", Key: "k"})
	defer c.Close()
	checks := doctor.Preflight(t.Context(), c, time.Now)
	require.Len(t, checks, 1)
	require.Equal(t, doctor.Bad, checks[0].Grade)
}

func TestCreate_SaysWhatToDo(t *testing.T) {
	for status, want := range map[int]string{429: "quota", 403: "another key", 400: "--image"} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			switch q.Method {
			case http.MethodPost:
				w.WriteHeader(status)
			default:
				w.WriteHeader(http.StatusNotFound)
			}
		}))
		c := stack.New(stack.Endpoint{URL: s.URL, Key: "k"})
		d, err := doctor.Examine(t.Context(), c, quick)
		x := doctor.Create(d, err)
		require.Equal(t, doctor.Bad, x.Grade)
		require.Contains(t, x.Do, want)
		c.Close()
		s.Close()
	}
}
