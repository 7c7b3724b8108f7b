package live_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/model"
	"chaos/stack"
	"chaos/stack/live"
)

const key = "blk_test_K3y-that-must-stay-secret"

// server answers GET /api/v1/me with status and body, and everything else with the path it was asked for.
func server(t *testing.T, status int, body string) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		switch {
		case q.Header.Get("Authorization") != "Bearer "+key:
			w.WriteHeader(http.StatusUnauthorized)
		case q.URL.Path == "/api/v1/me":
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		default:
			_, _ = io.WriteString(w, q.URL.Path)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func TestConnect_TakesThePrefixFromWhoWeAre(t *testing.T) {
	for body, want := range map[string]string{
		`{"sub":"key:o","path_prefix":"org-7"}`: "/api/v1/org-7/boxes",
		`{"path_prefix":"a/b"}`:                 "/api/v1/a/b/boxes",
		`{"path_prefix":null}`:                  "/api/v1/boxes",
		`{"path_prefix":""}`:                    "/api/v1/boxes",
		`{"sub":"key:o"}`:                       "/api/v1/boxes",
		`{"principal_type":"api_key"}`:          "/api/v1/boxes",
		`{"prefix":"default"}`:                  "/api/v1/default/boxes",
	} {
		s := server(t, 200, body)
		target, err := live.Connect(t.Context(), live.Config{URL: s.URL + "/api/", Key: key})
		require.NoError(t, err, body)
		res, err := target.Client().Do(t.Context(), stack.Request{Method: "GET", Path: "/boxes"})
		require.NoError(t, err, body)
		require.Equal(t, want, string(res.Body))
		target.Close()
	}
}

func TestConnect_RefusesWhatIsNoStackOnThisMachine(t *testing.T) {
	for _, url := range []string{"", "127.0.0.1:3000", "ftp://127.0.0.1/api", "http://", "http://[::1", "http://example.org/api", "http://10.0.0.1:3000", "https://api.example.org",
		"http://127.0.0.1.example.org", "http://me:" + key + "@127.0.0.1:3000/api", "http://me:" + key + "@127.0.0.1:x/api", "http://127.0.0.1:3000/api?key=" + key,
		"http://127.0.0.1:3000/api#" + key, "http://%zz/?" + key, "http://127.0.0.1:3000/api?", "http://127.0.0.1:3000/#", "http://127.0.0.1:99999/api", "http://127.0.0.1:0"} {
		_, err := live.Connect(t.Context(), live.Config{URL: url, Key: key})
		require.Error(t, err, url)
		require.True(t, live.IsConfig(err), "%s: %v", url, err)
		require.NotContains(t, err.Error(), "K3y")
	}
}

func TestConnect_AKeyIsOneLine(t *testing.T) {
	for _, bad := range []string{key + "\n", "\r" + key, key + "\x00", "a\tb", key + "\u0085"} {
		_, err := live.Connect(t.Context(), live.Config{URL: "http://127.0.0.1:1", Key: bad})
		require.True(t, live.IsConfig(err), "%q: %v", bad, err)
		require.EqualError(t, err, "--key or BOXLITE_API_KEY: the key holds a control character, such as the end of a line")
		_, err = live.Connect(t.Context(), live.Config{URL: "http://127.0.0.1:1", Key: key, OtherKey: bad})
		require.True(t, live.IsConfig(err), "%q: %v", bad, err)
		require.ErrorContains(t, err, "--other-key or BOXLITE_OTHER_API_KEY: ")
		require.NotContains(t, err.Error(), "K3y")
	}
}

func TestConnect_SaysWhatIsWrongWithTheStack(t *testing.T) {
	for what, tc := range map[string]struct {
		status    int
		body, key string
		want      string
	}{
		"a wrong key":           {200, "{}", "K3y-other", "the key is not accepted"},
		"no key":                {200, "{}", "", "the key is not accepted"},
		"a forbidden key":       {403, "{}", key, "the key is not accepted"},
		"another kind of API":   {404, "404 page not found", key, "is this a BoxLite API?"},
		"no JSON":               {200, "<html>", key, "is this a BoxLite API?"},
		"nothing":               {200, "", key, "is this a BoxLite API?"},
		"nobody":                {200, "{}", key, "GET /v1/me answered 200 and not who we are: is this a BoxLite API?"},
		"no object":             {200, "null", key, "is this a BoxLite API?"},
		"something else":        {200, `{"status":"ok","sub":""}`, key, "is this a BoxLite API?"},
		"a prefix that is none": {200, `{"sub":"x","path_prefix":7}`, key, "is this a BoxLite API?"},
		"a broken stack":        {503, "{}", key, "answered 503"},
	} {
		s := server(t, tc.status, tc.body)
		_, err := live.Connect(t.Context(), live.Config{URL: s.URL + "/api", Key: tc.key})
		require.ErrorContains(t, err, tc.want, what)
		require.NotContains(t, err.Error(), "K3y", what)
		require.False(t, live.IsConfig(err), what)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := server(t, 200, "{}")
	_, err := live.Connect(ctx, live.Config{URL: s.URL + "/api", Key: key})
	require.ErrorIs(t, err, context.Canceled)
	s.Close()
	_, err = live.Connect(t.Context(), live.Config{URL: s.URL + "/api", Key: key})
	require.ErrorContains(t, err, "reach stack: ")
	require.NotContains(t, err.Error(), "K3y")
}

// TestTarget_ClaimsNothingItCannotSee keeps promises about the machine and the journal from being
// judged on a stack whose machine and journal are not looked at.
func TestTarget_ClaimsNothingItCannotSee(t *testing.T) {
	s := server(t, 200, `{"path_prefix":"org"}`)
	target, err := live.Connect(t.Context(), live.Config{URL: s.URL + "/api", Key: key})
	require.NoError(t, err)
	defer target.Close()
	require.Nil(t, target.Journal())
	require.False(t, target.Exclusive() || target.ExecLogged())
	left, ok, err := target.Residue(t.Context())
	require.NoError(t, err)
	require.False(t, ok)
	require.Empty(t, left)
	require.NotContains(t, target.Describe(), "K3y")
	_, known := model.Lookup(target.Profile(), target.Flags())
	require.True(t, known)
	l := target.Limits()
	require.Greater(t, l.Call.Seconds(), 30.0, "a create may take 30 s to be answered")
	require.Positive(t, min(l.Resolve, l.Converge, l.Stall))
}

func TestConnect_DoesNotWaitForEver(t *testing.T) {
	t.Cleanup(live.SetAnswerLimit(time.Millisecond))
	over := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))
	t.Cleanup(func() {
		close(over)
		s.Close()
	})
	_, err := live.Connect(t.Context(), live.Config{URL: s.URL + "/api/", Key: key})
	require.EqualError(t, err, "reach stack: GET "+s.URL+"/api/v1/me: no answer in 0 s")
	require.False(t, live.IsConfig(err))
}

func TestConnect_AnotherOrganization(t *testing.T) {
	var prefixes = map[string]string{"Bearer one": `"org-1"`, "Bearer again": `"org-1"`, "Bearer two": `"org-2"`, "Bearer none": "null"}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		p, ok := prefixes[q.Header.Get("Authorization")]
		switch {
		case !ok:
			w.WriteHeader(http.StatusUnauthorized)
		case q.URL.Path == "/v1/me":
			_, _ = io.WriteString(w, `{"path_prefix":`+p+`}`)
		default:
			_, _ = io.WriteString(w, q.Header.Get("Authorization")+" "+q.URL.Path)
		}
	}))
	t.Cleanup(s.Close)
	for _, other := range []string{"again", "none"} {
		_, err := live.Connect(t.Context(), live.Config{URL: s.URL, Key: "one", OtherKey: other})
		require.True(t, live.IsConfig(err), "%s: %v", other, err)
	}
	_, err := live.Connect(t.Context(), live.Config{URL: s.URL, Key: "one", OtherKey: "bad"})
	require.ErrorContains(t, err, "--other-key")

	target, err := live.Connect(t.Context(), live.Config{URL: s.URL, Key: "one", OtherKey: "two"})
	require.NoError(t, err)
	defer target.Close()
	l, err := target.Lease(t.Context())
	require.NoError(t, err)
	defer l.Release()
	require.Zero(t, l.Quota)
	require.False(t, l.Alone)
	for want, c := range map[string]*stack.Client{"Bearer one /v1/org-1/boxes": l.Client, "Bearer two /v1/org-2/boxes": l.Other, "Bearer two /v1/org-1/boxes": l.Stranger} {
		res, err := c.Do(t.Context(), stack.Request{Method: "GET", Path: "/boxes"})
		require.NoError(t, err)
		require.Equal(t, want, string(res.Body))
	}

	target, err = live.Connect(t.Context(), live.Config{URL: s.URL, Key: "none"})
	require.NoError(t, err)
	defer target.Close()
	l, err = target.Lease(t.Context())
	require.NoError(t, err)
	require.Nil(t, l.Other)
	require.Nil(t, l.Stranger)
}
