package report

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/cmd/internal/campaign"
	"chaos/model"
)

// hostile is what a server may answer to whoever reads the page.
const hostile = `<script>alert(1)</script>"'&`

func aPage() Page {
	h := &model.History{
		Meta: model.Meta{Faults: []model.Fault{{Name: "api-kill" + hostile, From: 1e6, To: 2e6}}, Messages: []model.Message{{Step: 0, What: hostile, At: 15e5}}},
		Plan: model.Plan{Steps: []model.Step{{Client: "a", Action: "create", Bind: "b1"}}},
		Calls: []model.Call{
			{ID: 0, Step: 0, Client: "a", Op: model.OpCreate, Box: "b1", Invoke: 1e6, Return: 9e6, Outcome: model.OK, Status: 201},
			{ID: 1, Step: 0, Client: "b", Op: model.OpAttach, Box: "b1", Exec: "e1", Invoke: 2e6, Return: 8e6, Outcome: model.OK, Status: 101,
				Attach: &model.Attach{Frames: []model.Frame{{At: 3e6, Kind: model.FrameOut, Data: []byte("x")}, {At: 4e6, Kind: hostile}}}},
			{ID: 2, Step: model.Harness, Op: model.OpGet, Box: "b1", Invoke: 9e6, Return: 95e5, Outcome: model.Unknown},
		},
		Journal: model.Journal{Entries: []model.JournalEntry{{At: 5e6, Message: hostile}}},
	}
	return Page{Title: "chaos run on " + hostile, Began: time.Unix(0, 0), Took: time.Minute, Seed: 7, Result: "1 finding", Exit: 1,
		Counts: campaign.Counts{Plans: 3, Ops: map[string]int{hostile: 2}}, Pace: []campaign.PacePoint{{At: 0, Calls: 3, P95: 2}, {At: 1, Calls: 1, P95: 9, Faults: 1}},
		Findings: []PageFinding{{Signature: hostile, Message: hostile, Allowed: hostile, Got: hostile, Plan: "a: b1 = create\n", Replay: "chaos replay x", Journal: []string{hostile},
			History: h, Violation: &model.Violation{Calls: []int{1}}}}}
}

func TestPage_ShowsTheFindingAndNeedsNothingElse(t *testing.T) {
	var b strings.Builder
	require.NoError(t, WritePage(&b, aPage()))
	text := b.String()
	require.NotContains(t, text, "<script>alert", "what servers say is text")
	require.Equal(t, 1, strings.Count(text, "<script>"))
	for _, outside := range []string{"src=", "http://", "https://", "@import", "url("} {
		require.NotContains(t, text, outside, "the page must not fetch anything")
	}
	require.Contains(t, text, `class="verdict violated"`)
	require.Contains(t, text, "chaos replay x")
	require.Contains(t, text, "a: b1 = create")
	require.Equal(t, 1, strings.Count(text, `class="call bad"`), "the call that shows it is marked")
	require.Equal(t, 1, strings.Count(text, `class="call unknown"`)+strings.Count(text, `class="call ok"`), "of the others, those on its box that a client made")
	require.Equal(t, 1, strings.Count(text, `class="fault"`))
	require.Equal(t, 1, strings.Count(text, `class="entry"`))
	require.Equal(t, 1, strings.Count(text, `class="held"`))
	require.Equal(t, 2, strings.Count(text, `<svg class="chart"`))
}

func TestPage_OfALongRunIsSmall(t *testing.T) {
	p := aPage()
	h := p.Findings[0].History
	for i := 3; i < 100_000; i++ {
		h.Calls = append(h.Calls, model.Call{ID: i, Step: 0, Client: "a", Op: model.OpGet, Box: "b1", Invoke: int64(i) * 1e6, Return: int64(i)*1e6 + 5e5, Outcome: model.OK, Status: 200})
	}
	var b strings.Builder
	require.NoError(t, WritePage(&b, p))
	require.Less(t, b.Len(), 300_000)
}

func TestBrowse(t *testing.T) {
	dir := t.TempDir()
	run := filepath.Join(dir, "out", "r1")
	require.NoError(t, os.MkdirAll(run, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(run, "report.html"), []byte("the page"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(run, "summary.json"), []byte(`{"title":"on <b>","result":"1 finding","exit":1}`), 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "cases"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cases", "c1.case"), []byte("the case"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "secret.case"), []byte("secret"), 0o600))
	require.NoError(t, os.Symlink(filepath.Join(dir, "secret.case"), filepath.Join(dir, "cases", "link.case")))

	h := Browse(filepath.Join(dir, "out"), filepath.Join(dir, "cases"), "127.0.0.1:1")
	get := func(path, host string) (int, string) {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	code, body := get("/", "127.0.0.1:1")
	require.Equal(t, 200, code)
	require.Contains(t, body, `href="/run/r1"`)
	require.Contains(t, body, `href="/case/c1"`)
	require.Contains(t, body, "on &lt;b&gt;")
	code, body = get("/run/r1", "127.0.0.1:1")
	require.Equal(t, 200, code)
	require.Equal(t, "the page", body)
	_, body = get("/case/c1", "127.0.0.1:1")
	require.Equal(t, "the case", body)
	for _, path := range []string{"/case/link", "/case/..%2Fsecret", "/run/..", "/run/%2e%2e%2fcases", "/other"} {
		code, body = get(path, "127.0.0.1:1")
		require.NotEqual(t, 200, code, path)
		require.NotContains(t, body, "secret", path)
	}
	code, _ = get("/", "evil.example")
	require.Equal(t, http.StatusForbidden, code, "a web page of elsewhere that resolves to this machine")
}
