package report

import (
	_ "embed"
	"encoding/json"
	"html/template"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

//go:embed browse.html.tmpl
var browseText string

var browseTemplate = template.Must(template.New("browse").Parse(browseText))

// listedRun is a run folder in the index.
type listedRun struct {
	Name, Title, Result, Class string
	Began                      time.Time
	Findings                   int
	Page                       bool
}

// Browse serves an index of the run folders in out and the cases in cases, the pages of the runs and
// the text of the cases; nothing else of the file system. Requests must name host as theirs, so that
// no web page of elsewhere can read along.
func Browse(out, cases, host string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = browseTemplate.Execute(w, map[string]any{"Runs": listRuns(out), "Cases": listCases(cases)})
	})
	mux.HandleFunc("GET /run/{name}", func(w http.ResponseWriter, r *http.Request) {
		serveFile(w, r, out, filepath.Join(r.PathValue("name"), "report.html"), "text/html; charset=utf-8")
	})
	mux.HandleFunc("GET /case/{name}", func(w http.ResponseWriter, r *http.Request) {
		serveFile(w, r, cases, r.PathValue("name")+".case", "text/plain; charset=utf-8")
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != host {
			http.Error(w, "not for "+r.Host, http.StatusForbidden)
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	})
}

// serveFile sends a file below dir. os.Root keeps names and links inside.
func serveFile(w http.ResponseWriter, r *http.Request, dir, name, kind string) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer root.Close()
	f, err := root.Open(name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", kind)
	http.ServeContent(w, r, "", info.ModTime(), f)
}

// listRuns returns the run folders in dir, the latest first.
func listRuns(dir string) []listedRun {
	entries, _ := os.ReadDir(dir) // one that is not there has no runs
	var out []listedRun
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		run := listedRun{Name: e.Name(), Title: "not finished, or of an earlier version"}
		if data, err := os.ReadFile(filepath.Join(dir, e.Name(), "summary.json")); err == nil {
			var p Page
			if json.Unmarshal(data, &p) == nil {
				run.Title, run.Result, run.Class, run.Began, run.Findings = p.Title, p.Result, verdictWord(p.Exit), p.Began, len(p.Findings)
			}
		}
		_, err := os.Stat(filepath.Join(dir, e.Name(), "report.html"))
		run.Page = err == nil
		out = append(out, run)
	}
	slices.SortFunc(out, func(a, b listedRun) int { return strings.Compare(b.Name, a.Name) })
	return out
}

func listCases(dir string) []string {
	files, _ := filepath.Glob(filepath.Join(dir, "*.case"))
	var out []string
	for _, f := range files {
		out = append(out, strings.TrimSuffix(filepath.Base(f), ".case"))
	}
	return out
}
